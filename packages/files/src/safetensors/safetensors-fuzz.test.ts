import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FilesError } from '../errors.js';
import { expect, test } from 'vitest';
import { mutateBytes, mutateSafetensors, mutateText } from '../../../../test/fuzz/mutate.js';
import { fuzzInputs, runFuzz } from '../../../../test/fuzz/run-fuzz.js';
import { openCheckpointFiles, openSafetensors } from './checkpoint-files.js';
import { readFloats } from '../storage/read-rows.js';
import { readInts } from './read-ints.js';
import { readSafetensorsHeader } from './safetensors-header.js';
import { writeSafetensors, type SafetensorsInput } from './safetensors-writer.js';

test('a mutated file gives a FilesError, or ranges that fill the file without overlap', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-fuzz-'));
  const file = path.join(folder, 'good.safetensors');
  const inputs: SafetensorsInput[] = [
    { name: 'ids', shape: [3], dtype: 'I64', data: BigInt64Array.of(1n, -2n, 3n) },
    { name: 'layers.0.weight', shape: [3, 4], dtype: 'float32', values: new Float32Array(12).fill(1) },
    { name: 'layers.1.weight', shape: [2, 3], dtype: 'bfloat16', values: new Float32Array(6).fill(2) },
    { name: 'empty', shape: [0, 3], dtype: 'float16', values: new Float32Array(0) },
    { name: 'flags', shape: [5], dtype: 'BOOL', data: new Uint8Array(5) },
  ];
  await writeSafetensors(file, inputs, { format: 'pt' });
  const good = readFileSync(file);
  const mutated = path.join(folder, 'mutated.safetensors');
  const outcomes = await runFuzz('safetensors', {
    codes: ['SAFETENSORS_INVALID'],
    attempt(random) {
      writeFileSync(mutated, mutateSafetensors(good, random));
      checkFile(mutated);
    },
  });
  rmSync(folder, { recursive: true });
  // Both ways were taken often, or the mutations do not test anything.
  expect(outcomes.accepted).toBeGreaterThan(fuzzInputs / 50);
  expect(outcomes.refused).toBeGreaterThan(fuzzInputs / 2);
}, 3_600_000);

test('a mutated index of shards is refused, or names ranges of the shards', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-fuzz-'));
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  for (const [i, shard] of shards.entries())
    await writeSafetensors(path.join(folder, shard), [
      { name: `layers.${i}.weight`, shape: [2, 3], dtype: 'float32', values: new Float32Array(6).fill(i) },
      { name: `layers.${i}.norm`, shape: [3], dtype: 'bfloat16', values: new Float32Array(3) },
    ]);
  const weights = shards.flatMap((shard, i) => ['weight', 'norm'].map((name) => [`layers.${i}.${name}`, shard]));
  const good = JSON.stringify({ metadata: { total_size: 60 }, weight_map: Object.fromEntries(weights) as object });
  const index = path.join(folder, 'model.safetensors.index.json');
  await runFuzz('index of shards', {
    codes: ['SAFETENSORS_INVALID', 'SAFETENSORS_MISSING_TENSOR', 'FILE_UNREADABLE'],
    attempt(random) {
      writeFileSync(index, random(3) === 0 ? mutateBytes(Buffer.from(good), random) : mutateText(good, random));
      const files = openCheckpointFiles(folder);
      for (const file of files.files) if (path.dirname(file) !== folder) throw new Error(`it reads ${file}`);
      for (const name of files.names()) readFloats(files.source(name));
    },
  });
  rmSync(folder, { recursive: true });
}, 3_600_000);

/** Throws plain errors where the header claims what the file has not. */
function checkFile(file: string): void {
  const header = readSafetensorsHeader(file);
  const size = readFileSync(file).length;
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(what);
  };
  check(header.fileSize === size && header.dataOffset <= size, 'sizes');
  let covered = header.dataOffset;
  for (const { byteOffset, byteLength } of [...header.tensors.values()].sort(
    (a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  )) {
    check(Number.isSafeInteger(byteOffset) && Number.isSafeInteger(byteLength) && byteLength >= 0, 'no whole numbers');
    check(byteOffset === covered, 'an overlap or a hole');
    covered += byteLength;
  }
  check(covered === size, 'not the whole file');
  const files = openSafetensors(file);
  for (const name of files.names()) {
    const { dtype, shape } = files.entry(name);
    const elements = shape.reduce((product, length) => product * length, 1);
    if (dtype === 'F32' || dtype === 'BF16' || dtype === 'F16') {
      check(readFloats(files.source(name)).length === elements, 'floats');
    } else if (dtype === 'I32') check(readInts(files.entry(name)).length === elements, 'integers');
    else checkRefused(() => files.source(name), 'DTYPE_MISMATCH');
  }
  checkRefused(() => files.source('no such tensor'), 'SAFETENSORS_MISSING_TENSOR');
}

function checkRefused(run: () => unknown, code: string): void {
  try {
    run();
  } catch (error) {
    if (error instanceof FilesError && error.code === code) return;
    throw new Error('another error', { cause: error });
  }
  throw new Error(`expected ${code}`);
}
