import { encodeFloats } from '../numbers/encode-floats.js';
import { toFloat16Bits } from '../numbers/dtype.js';
import type { GgmlType } from './gguf-header.js';

/** Values that one scale stands for, and the bytes they take: a float16 and 32 signed bytes. */
export const q8Block = { values: 32, bytes: 34 };

/** Bytes of so many values, whole blocks of them where the type has blocks. */
export function ggmlBytes(type: GgmlType, values: number): number {
  if (type === 'Q8_0') return (values / q8Block.values) * q8Block.bytes;
  return values * (type === 'F32' ? 4 : 2);
}

/** Values as a GGUF file holds them in a type. */
export function ggmlEncode(values: Float32Array, type: GgmlType): Uint8Array {
  switch (type) {
    case 'F32':
      return encodeFloats(values, 'float32');
    case 'F16':
      return encodeFloats(values, 'float16');
    case 'BF16':
      return encodeFloats(values, 'bfloat16');
    case 'Q8_0':
      return encodeQ8(values);
  }
}

/**
 * Q8_0 as ggml's `quantize_row_q8_0_ref` computes it, in float32: of each block of 32 d = amax / 127 as float16, and
 * x * (1 / d), with the d before its rounding, rounded half away from zero.
 */
function encodeQ8(values: Float32Array): Uint8Array {
  const blocks = values.length / q8Block.values;
  const bytes = new Uint8Array(blocks * q8Block.bytes);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const [from, to] = [block * q8Block.values, block * q8Block.bytes];
    let largest = 0;
    for (let i = 0; i < q8Block.values; i++) largest = Math.max(largest, Math.abs(values[from + i]!));
    const d = Math.fround(largest / 127);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    view.setUint16(to, toFloat16Bits(d), true);
    for (let i = 0; i < q8Block.values; i++) {
      const scaled = Math.fround(values[from + i]! * inverse);
      view.setInt8(to + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
    }
  }
  return bytes;
}
