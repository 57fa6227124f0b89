import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openRegularFile, readRegularFile, readTextFile, readTextStart } from './regular-file.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-regular-'));
const at = (name: string): string => path.join(folder, name);

test('a regular file is read whole, and so is what a link leads to', () => {
  writeFileSync(at('text'), 'größer\n');
  symlinkSync('text', at('link'));
  writeFileSync(at('empty'), '');
  expect(['text', 'link', 'empty'].map((name) => readTextFile(at(name)))).toEqual(['größer\n', 'größer\n', '']);
  expect(readRegularFile(at('text'))).toEqual(Buffer.from('größer\n'));
  expect(readTextStart(at('text'), 2)).toBe('gr');
  expect(readTextStart(at('text'), 1000)).toBe('größer\n');
});

test.skipIf(process.platform !== 'linux')('a file without a size is read to its end, and within the bound', () => {
  expect(readTextFile('/proc/self/status')).toContain('\nPid:');
  expect(() => readTextFile('/proc/self/status', 10)).toThrow('expected at most 10');
});

test('a pipe, a device, a socket and a folder are refused, and none of them is waited for', async () => {
  execFileSync('mkfifo', [at('pipe')]);
  symlinkSync('pipe', at('link to pipe'));
  symlinkSync('/dev/zero', at('device'));
  mkdirSync(at('folder'));
  const server = createServer().listen(at('socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  const faults = ['pipe', 'link to pipe', 'device', 'folder', 'socket'].map((name) => {
    try {
      return closeSync(openRegularFile(at(name)));
    } catch (error) {
      return (error as Error).message;
    }
  });
  server.close();
  const kinds = ['a named pipe', 'a named pipe', 'a device', 'a folder', 'a socket'];
  expect(faults).toEqual(kinds.map((kind) => `it is ${kind}, expected a regular file`));
});

test('a file beyond the bound is refused by its size, before any of it is read', () => {
  writeFileSync(at('huge'), '');
  truncateSync(at('huge'), 7e9);
  const started = performance.now();
  expect(() => readTextFile(at('huge'))).toThrow('it has 7000000000 bytes, expected at most 10000000');
  expect(performance.now() - started).toBeLessThan(1000);
  writeFileSync(at('eleven'), '12345678901');
  expect(() => readTextFile(at('eleven'), 10)).toThrow('it has 11 bytes, expected at most 10');
  expect(readTextFile(at('eleven'), 11)).toBe('12345678901');
});
