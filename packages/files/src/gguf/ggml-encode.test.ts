import { fromFloat16Bits } from '../numbers/dtype.js';
import { expect, test } from 'vitest';
import { ggmlBytes, ggmlEncode } from './ggml-encode.js';

function blocks(values: Float32Array): { d: number; quants: number[] }[] {
  const bytes = ggmlEncode(values, 'Q8_0');
  expect(bytes.length).toBe(ggmlBytes('Q8_0', values.length));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: values.length / 32 }, (_, block) => ({
    d: fromFloat16Bits(view.getUint16(34 * block, true)),
    quants: Array.from({ length: 32 }, (_, i) => view.getInt8(34 * block + 2 + i)),
  }));
}

test('Q8_0: d = amax / 127, halves away from zero, blocks by themselves', () => {
  const values = new Float32Array(96);
  values.set([127, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49, -126.5]);
  // A block of zeros, and one whose largest is negative.
  values.set([-1.27, 0.635, 0.01], 64);
  const [whole, zeros, negative] = blocks(values);
  expect(whole).toEqual({ d: 1, quants: [127, 1, -1, 2, 3, -3, 0, -127, ...new Array<number>(24).fill(0)] });
  expect(zeros).toEqual({ d: 0, quants: new Array<number>(32).fill(0) });
  expect(negative!.d).toBeCloseTo(0.01, 5);
  expect(negative!.quants.slice(0, 3)).toEqual([-127, 64, 1]);
});

test('the rows are scaled by d as it was before its rounding to float16', () => {
  // d = 1.0006 / 127 is no float16; the quant of the largest is 127 all the same.
  const values = new Float32Array(32).fill(1.0006);
  expect(blocks(values)[0]!.quants).toEqual(new Array<number>(32).fill(127));
});
