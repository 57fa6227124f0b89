import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openSafetensors } from './checkpoint-files.js';
import { findNotFinite } from './not-finite.js';
import { writeSafetensors } from './safetensors-writer.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-finite-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A [3, 5] tensor with `value` at [1, 2], the rest at the edge of what is finite. */
async function stored(dtype: 'float32' | 'bfloat16' | 'float16', value: number, shape = [3, 5]) {
  const file = path.join(folder, 'x.safetensors');
  const largest = dtype === 'float16' ? 65504 : 3.3895313892515355e38;
  const size = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from({ length: size }, (_, i) => (i % 2 ? largest : -largest));
  if (size > 0) values[size === 1 ? 0 : 7] = value;
  await writeSafetensors(file, [{ name: 'x', shape, dtype, values }]);
  return openSafetensors(file).source('x');
}

describe.each(['float32', 'bfloat16', 'float16'] as const)('values that are not finite, of %s', (dtype) => {
  test.each([NaN, Infinity, -Infinity])('%d', async (value) => {
    expect(await findNotFinite(await stored(dtype, value))).toEqual({ at: [1, 2], value });
  });

  test('none', async () => {
    expect(await findNotFinite(await stored(dtype, 0))).toBeUndefined();
    expect(await findNotFinite(await stored(dtype, 0, [0, 5]))).toBeUndefined();
  });

  test('of a scalar', async () => {
    expect(await findNotFinite(await stored(dtype, NaN, []))).toEqual({ at: [], value: NaN });
  });

  test('after several blocks', async () => {
    const file = path.join(folder, 'long.safetensors');
    const values = new Float32Array(5_000_000);
    values[4_999_998] = Infinity;
    await writeSafetensors(file, [{ name: 'x', shape: [2_500_000, 2], dtype, values }]);
    expect(await findNotFinite(openSafetensors(file).source('x'))).toEqual({ at: [2_499_999, 0], value: Infinity });
  });
});
