/** Each value rounded to bfloat16, to nearest and ties to even, and still stored as float32; NaN stays NaN. */
export function roundToBfloat16(values: Float32Array): Float32Array<ArrayBuffer> {
  const rounded = values.slice();
  const words = new Uint32Array(rounded.buffer);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    // Infinity and NaN stay as they are: adding could carry into the sign.
    if ((word & 0x7f800000) === 0x7f800000) continue;
    words[i] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  }
  return rounded;
}
