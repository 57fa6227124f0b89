import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openSafetensors } from './checkpoint-files.js';
import type { DType } from '../numbers/dtype.js';
import { equalValues } from './equal-values.js';
import { writeSafetensors } from './safetensors-writer.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-equal-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

type Given = readonly [dtype: Exclude<DType, 'int32'>, values: ArrayLike<number>, width?: number];

async function compare(...given: readonly [Given, Given]): Promise<boolean> {
  const file = path.join(folder, `${count++}.safetensors`);
  const tensors = given.map(([dtype, values, width = 1], i) => {
    return { name: String(i), shape: [values.length / width, width], dtype, values: Float32Array.from(values) };
  });
  await writeSafetensors(file, tensors);
  const files = openSafetensors(file);
  return equalValues(files.source('0'), files.source('1'));
}

// Three blocks, the last one short, of rows whose number is no power of two.
const long = Float32Array.from({ length: 3 * 2 ** 20 - 6 }, (_, i) => i % 251);
const late = long.with(long.length - 1, 0.5);

test.each<[what: string, a: Given, b: Given, equal: boolean]>([
  ['the same', ['float32', [1, 2, 3]], ['float32', [1, 2, 3]], true],
  ['one that differs', ['float32', [1, 2, 3]], ['float32', [1, 2, 4]], false],
  ['0 and -0', ['float32', [0, 1]], ['float32', [-0, 1]], true],
  ['0 and -0, bfloat16', ['bfloat16', [0, 1]], ['bfloat16', [-0, 1]], true],
  ['values that both types have', ['bfloat16', [1.5, -2]], ['float32', [1.5, -2]], true],
  ['float16 and bfloat16', ['bfloat16', [1.5, -2]], ['float16', [1.5, -2]], true],
  ['a value that rounds to the other', ['bfloat16', [1.001]], ['float32', [1.001]], false],
  ['several blocks', ['float32', long, 3], ['float32', long, 3], true],
  ['several blocks of other types', ['bfloat16', long, 3], ['float32', long, 3], true],
  ['the last value of several blocks', ['float32', long, 3], ['float32', late, 3], false],
  ['the last value of one long row', ['float32', long, long.length], ['float32', late, long.length], false],
])('%s', async (_, a, b, equal) => expect(await compare(a, b)).toBe(equal));
