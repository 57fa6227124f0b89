import { mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { linkOut } from './links-out.js';

const place = realpathSync(mkdtempSync(path.join(tmpdir(), 'glulam-links-')));
const at = (...parts: string[]): string => path.join(place, ...parts);
const write = (...parts: string[]): string => {
  mkdirSync(path.dirname(at(...parts)), { recursive: true });
  writeFileSync(at(...parts), 'x');
  return at(...parts);
};
const [oid, sha256, commit] = ['a'.repeat(40), 'b'.repeat(64), 'c'.repeat(40)];

test('files, links within the folder and names of nothing lead nowhere else', () => {
  write('base/file');
  symlinkSync('file', at('base/link'));
  symlinkSync('missing', at('base/broken'));
  expect(['file', 'link', 'broken', 'none'].map((name) => linkOut(at('base'), name))).toEqual(Array(4).fill(undefined));
  symlinkSync('base', at('linked base'));
  expect(linkOut(at('linked base'), 'file')).toBeUndefined();
});

test('links lead out directly, over others, by a folder, and into a folder whose name begins alike', () => {
  const secret = write('secret');
  write('base2/file');
  symlinkSync('../secret', at('base/direct'));
  symlinkSync('direct', at('base/over another'));
  symlinkSync(at('base2'), at('base/folder'));
  symlinkSync('../base2/file', at('base/alike'));
  expect(linkOut(at('base'), 'direct')).toBe(secret);
  expect(linkOut(at('base'), 'over another')).toBe(secret);
  expect(linkOut(at('base'), 'folder/file')).toBe(at('base2/file'));
  expect(linkOut(at('base'), 'alike')).toBe(at('base2/file'));
});

test("the links of the Hub's cache lead to blobs of the same repository, named by a hash", () => {
  const snapshot = at('hub/models--owner--name/snapshots', commit);
  mkdirSync(snapshot, { recursive: true });
  const link = (name: string, ...target: string[]): void =>
    symlinkSync(path.relative(snapshot, write(...target)), path.join(snapshot, name));
  link('small', 'hub/models--owner--name/blobs', oid);
  link('large', 'hub/models--owner--name/blobs', sha256);
  link('other name', 'hub/models--owner--name/blobs/id_rsa');
  link('other repository', 'hub/models--owner--private/blobs', oid);
  link('deeper', 'hub/models--owner--name/blobs/below', oid);
  symlinkSync(at('secret'), at('hub/models--owner--name/blobs', 'd'.repeat(40)));
  symlinkSync(`../../blobs/${'d'.repeat(40)}`, path.join(snapshot, 'blob that is a link'));
  expect(['small', 'large'].map((name) => linkOut(snapshot, name))).toEqual([undefined, undefined]);
  const others = ['other name', 'other repository', 'deeper', 'blob that is a link'];
  expect(others.map((name) => linkOut(snapshot, name) === undefined)).toEqual([false, false, false, false]);
  // A folder of the same form of anybody's.
  const copy = at('models--owner--name/snapshots/main');
  mkdirSync(copy, { recursive: true });
  symlinkSync(path.relative(copy, write('models--owner--name/blobs', oid)), path.join(copy, 'file'));
  expect(linkOut(copy, 'file')).toBe(at('models--owner--name/blobs', oid));
});
