import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FilesError } from '../errors.js';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openCheckpointFiles, type CheckpointFiles } from '../safetensors/checkpoint-files.js';
import { whileUnchanged } from './file-stamp.js';
import { writeSafetensors } from '../safetensors/safetensors-writer.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-stamp-'));
afterAll(() => rmSync(folder, { recursive: true }));
const shards = ['a', 'b'].map((name) => path.join(folder, `${name}.safetensors`));
let files: CheckpointFiles;

beforeEach(async () => {
  for (const [i, file] of shards.entries())
    await writeSafetensors(file, [{ name: `t${i}`, shape: [3], dtype: 'float32', values: Float32Array.of(1, 2, 3) }]);
  const weightMap = { t0: 'a.safetensors', t1: 'b.safetensors' };
  writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  files = openCheckpointFiles(folder);
});

/** Changes of the second file. */
const changes: readonly (readonly [name: string, change: (file: string) => void, says: RegExp])[] = [
  ['cut short', (file) => truncateSync(file, 80), /it has 80 bytes, expected the \d+ that it had/],
  ['longer', (file) => appendFileSync(file, 'x'), /it has \d+ bytes, expected the \d+ that it had/],
  [
    'overwritten in place',
    (file) => writeFileSync(file, readFileSync(file)),
    /it was modified at 2\S+Z, expected 2\S+Z/,
  ],
  ['touched', (file) => utimesSync(file, 1, 1), /it was modified at 1970-01-01T00:00:01\.000Z/],
  [
    'replaced',
    (file) => {
      writeFileSync(`${file}.new`, readFileSync(file));
      renameSync(`${file}.new`, file);
    },
    /another file has its name \(inode \d+, expected \d+\)/,
  ],
  ['removed', (file) => rmSync(file), /can no longer be found \(ENOENT/],
];

describe('files that changed since they were opened', () => {
  test('are not seen where there are none', () => {
    readFileSync(shards[1]!);
    expect(() => files.checkUnchanged()).not.toThrow();
  });

  test.each(changes)('%s', async (_, change, says) => {
    await new Promise((resolve) => setTimeout(resolve, 20)); // file systems count time in steps of some milliseconds
    change(shards[1]!);
    let thrown: unknown;
    try {
      files.checkUnchanged();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'FILE_CHANGED', message: expect.stringMatching(says) as string });
    expect((thrown as Error).message).toContain(shards[1]);
    expect((thrown as Error).message).toMatch(/Restore the file .* resumes with --resume$/);
  });

  test('take precedence over what work on them gives, and over why it fails', async () => {
    expect(await whileUnchanged(files, () => 7)).toBe(7);
    const failure = new Error('of the work itself');
    await expect(whileUnchanged(files, () => Promise.reject(failure))).rejects.toBe(failure);
    truncateSync(shards[0]!, 8);
    await expect(whileUnchanged(files, () => 7)).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    await expect(whileUnchanged(files, () => Promise.reject(failure))).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    // One that names the tensor too stays.
    const known = new FilesError('FILE_CHANGED', 'tensor t0 of a.safetensors');
    await expect(whileUnchanged(files, () => Promise.reject(known))).rejects.toBe(known);
  });
});
