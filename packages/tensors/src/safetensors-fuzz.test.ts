import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from './checkpoint-files.js';
import { TensorsError } from './errors.js';
import { readFloats, readInts } from './read-tensor.js';
import { readSafetensorsHeader } from './safetensors-header.js';
import { writeSafetensors, type SafetensorsInput } from './safetensors-writer.js';

/** Marsaglia's xorshift32: every iteration can be made again from its seed. */
function createRandom(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
type Random = ReturnType<typeof createRandom>;
const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]!;

// What has been trouble in other readers: numbers at the edges, types of other kinds, names with a meaning.
const oddities = [
  '0', '-1', '-0', '1', '3', '4', '8', '1e0', '4294967296', '9007199254740991', '9007199254740992', '1e400', '0.5', 'null', 'true', '""', '"F32"', '"I64"',
  '"BF16"', '"F4"', '"toString"', '[]', '[0]', '[0,0]', '[4,0]', '[[0]]', '{}', '"__proto__"', '"__metadata__"', '"\\ud800"',
]; // prettier-ignore

function mutateText(text: string, random: Random): string {
  const tokens = text.match(/"[^"]*"|-?\d+|[{}[\],:]|\s+|./gsu) ?? [];
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(tokens.length || 1);
    const kind = random(5);
    if (kind === 0) tokens.splice(at, 1);
    else if (kind === 1) tokens.splice(at, 0, pick(random, tokens));
    else if (kind === 2) tokens[at] = pick(random, tokens);
    else if (kind === 3) tokens[at] = pick(random, oddities);
    else tokens.splice(at, 1 + random(8), ...tokens.slice(random(tokens.length || 1)).slice(0, 8));
  }
  return tokens.join('');
}

function mutate(good: Buffer, random: Random): Buffer {
  const dataOffset = 8 + Number(good.readBigUInt64LE());
  let bytes = Buffer.from(good);
  if (random(2) === 0) {
    const text = Buffer.from(mutateText(good.toString('utf8', 8, dataOffset), random));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(text.length));
    bytes = Buffer.concat([prefix, text, good.subarray(dataOffset)]);
  } else {
    for (let flips = random(4); flips > 0; flips--)
      bytes[random(random(3) === 0 ? bytes.length : dataOffset)]! ^= 1 << random(8);
  }
  if (random(6) === 0)
    bytes.writeBigUInt64LE(pick(random, [0n, 1n, BigInt(dataOffset), 99_999_999n, 2n ** 53n, 2n ** 64n - 1n]));
  if (random(4) === 0) bytes = bytes.subarray(0, random(bytes.length + 1));
  if (random(8) === 0) bytes = Buffer.concat([bytes, Buffer.alloc(random(20))]);
  return bytes;
}

test('a mutated file gives a TensorsError, or ranges that fill the file without overlap', async () => {
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
  const outcomes = { accepted: 0, refused: 0 };
  const iterations = Number(process.env['GLULAM_FUZZ'] ?? 2000);
  for (let seed = 0; seed < iterations; seed++) {
    writeFileSync(mutated, mutate(good, createRandom(seed)));
    try {
      checkFile(mutated);
      outcomes.accepted += 1;
    } catch (error) {
      if (!(error instanceof TensorsError)) throw new Error(`seed ${seed}`, { cause: error });
      if (error.code !== 'SAFETENSORS_INVALID') throw new Error(`seed ${seed} gave ${error.code}`, { cause: error });
      if (error.message.length > 2000)
        throw new Error(`seed ${seed} has a message of ${error.message.length} characters`);
      outcomes.refused += 1;
    }
  }
  rmSync(folder, { recursive: true });
  // Both ways were taken often, or the mutations do not test anything.
  expect(outcomes.accepted).toBeGreaterThan(iterations / 50);
  expect(outcomes.refused).toBeGreaterThan(iterations / 2);
}, 600_000);

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
    if (error instanceof TensorsError && error.code === code) return;
    throw new Error('another error', { cause: error });
  }
  throw new Error(`expected ${code}`);
}
