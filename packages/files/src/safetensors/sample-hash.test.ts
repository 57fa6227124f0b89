import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sampleHash } from './sample-hash.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-sample-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file of zeros but for bytes at some places. */
function fileWith(name: string, size: number, ...at: number[]): string {
  const file = path.join(folder, name);
  const handle = openSync(file, 'w');
  ftruncateSync(handle, size);
  for (const place of at) writeSync(handle, 'x', place);
  closeSync(handle);
  return file;
}

test('a small file differs by any byte', () => {
  const size = 8 << 20;
  const hashes = [[], [0], [size - 1], [5_000_001]].map((at) => sampleHash([fileWith('small', size, ...at)]));
  expect(new Set(hashes).size).toBe(4);
  expect(sampleHash([fileWith('small', size)])).toBe(hashes[0]);
});

test('a large one by its first and last bytes, its length, and any part of a hundredth', () => {
  const size = 100 << 20;
  const hash = (...at: number[]) => sampleHash([fileWith('large', size, ...at)]);
  const part = Array.from({ length: size / 100 / 1000 }, (_, i) => 33_000_000 + i * 1000);
  expect(
    new Set([hash(), hash(0), hash(size - 1), hash(...part), sampleHash([fileWith('large', size - 1)])]).size,
  ).toBe(5);
});

test('files count with their names and in their order, folders do not', () => {
  const [a, b] = [fileWith('a', 10), fileWith('b', 10)];
  expect(sampleHash([a, b])).not.toBe(sampleHash([b, a]));
  writeFileSync(b, '');
  expect(sampleHash([b])).toMatch(/^[0-9a-f]{64}$/);
  truncateSync(b, 10);
  expect(sampleHash([a, b])).toBe(sampleHash([a, b]));
});
