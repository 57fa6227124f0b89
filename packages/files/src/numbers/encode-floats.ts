import { toFloat16Bits } from './dtype.js';

/**
 * Float32 values as the little-endian bytes of a file of that dtype, rounded once, to nearest even. Of float32 the bytes
 * are those of `values` themselves.
 */
export function encodeFloats(values: Float32Array, dtype: 'float32' | 'bfloat16' | 'float16'): Uint8Array {
  if (dtype === 'float32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const words = new Uint16Array(values.length);
  if (dtype === 'float16') for (let i = 0; i < words.length; i++) words[i] = toFloat16Bits(values[i]!);
  else {
    // toBfloat16Bits without a call and a store for each of billions of values.
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let i = 0; i < words.length; i++) {
      const word = bits[i]!;
      words[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
    }
  }
  return new Uint8Array(words.buffer);
}
