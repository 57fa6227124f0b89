/**
 * How a tensor is stored. Arithmetic happens in float32; bfloat16 is what products read and activations may be kept in,
 * float16 occurs in files only, int32 holds indices.
 */
export type DType = 'float32' | 'bfloat16' | 'float16' | 'int32';

/** Bytes of one element. */
export const bytesPerElement: Readonly<Record<DType, number>> = { float32: 4, bfloat16: 2, float16: 2, int32: 4 };

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Round a number to bfloat16, to nearest and ties to even; returns the 16 bits. NaN stays a (quiet) NaN. */
export function toBfloat16Bits(value: number): number {
  float[0] = value;
  const word = bits[0]!;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number that 16 bits of bfloat16 stand for. */
export function fromBfloat16Bits(word: number): number {
  bits[0] = word << 16;
  return float[0]!;
}

/** The number that 16 bits of IEEE float16 stand for. */
export function fromFloat16Bits(word: number): number {
  const sign = word & 0x8000 ? -1 : 1;
  const exponent = (word >>> 10) & 0x1f;
  const fraction = word & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Round a number to IEEE float16, to nearest and ties to even; overflow gives infinity. Returns the 16 bits. */
export function toFloat16Bits(value: number): number {
  float[0] = value;
  const word = bits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 shifts the fraction to where float32's own rounding does the work.
    bits[0] = magnitude;
    float[0] = float[0] + 0.5;
    return sign | (bits[0] - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The nearest number to `value` that the dtype of a weight holds. */
export function roundTo(dtype: DType, value: number): number {
  if (dtype === 'bfloat16') return fromBfloat16Bits(toBfloat16Bits(value));
  return dtype === 'float16' ? fromFloat16Bits(toFloat16Bits(value)) : Math.fround(value);
}
