import { existsSync, mkdirSync, mkdtempSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { makeFolder } from './make-folder.js';

const root = mkdtempSync(path.join(tmpdir(), 'glulam-folder-'));

test('a folder and those above it, and one that is there already', () => {
  const folder = path.join(root, 'a/b/c');
  makeFolder(folder);
  makeFolder(folder);
  expect(statSync(folder).isDirectory()).toBe(true);
  symlinkSync(folder, path.join(root, 'link'));
  makeFolder(path.join(root, 'link', 'd'));
  makeFolder(path.join(root, 'link'));
  expect(existsSync(path.join(folder, 'd'))).toBe(true);
});

test.each([
  ['below a file', 'file/x/y', 'ENOTDIR'],
  ['a file', 'file', 'EEXIST'],
  ['a link that leads nowhere', 'broken', 'EEXIST'],
])('%s is an error with its code', (_, name, code) => {
  mkdirSync(root, { recursive: true });
  writeFileSync(path.join(root, 'file'), '');
  if (!existsSync(path.join(root, 'broken')) && name === 'broken') symlinkSync('nowhere', path.join(root, 'broken'));
  expect(() => makeFolder(path.join(root, name))).toThrow(expect.objectContaining({ code }));
});

test('a file system that refuses every folder is an error, and no endless loop', ({ skip }) => {
  skip(!existsSync('/proc/self'), 'no /proc here');
  expect(() => makeFolder('/proc/a/b')).toThrow(/^E[A-Z]+: /);
});
