/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
 * Element i of a tensor is word i % 4 of philox(counter = [floor(i / 4), its high word, stream0, stream1], key = seed),
 * so any engine, in any order, on any number of threads, draws the same.
 */

/** Four words of 32 bits: a seed and what the numbers are for (step, virtual layer, use). */
export type RandomKey = readonly [seed0: number, seed1: number, stream0: number, stream1: number];

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;

/** High and low word of a 32 x 32 bit product. */
function wideProduct(a: number, b: number): [number, number] {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + Math.floor((aLow * bLow) / 65536);
  const cross = aLow * bHigh + (middle % 65536);
  return [(aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(cross / 65536)) >>> 0, Math.imul(a, b) >>> 0];
}

/** One block of Philox4x32-10: four words of 32 bits, unsigned, from a counter and a key. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = wideProduct(M0, c0);
    const [high1, low1] = wideProduct(M1, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** `count` numbers, uniform in [0, 1) with 24 bits. */
export function uniforms(count: number, key: RandomKey): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 4) {
    const block = i / 4;
    const words = philox([block >>> 0, Math.floor(block / 2 ** 32), key[2], key[3]], [key[0], key[1]]);
    for (let j = 0; j < 4 && i + j < count; j++) values[i + j] = (words[j]! >>> 8) * 2 ** -24;
  }
  return values;
}

/** `count` numbers of the standard normal distribution, by Box and Muller from `uniforms`. */
export function normals(count: number, key: RandomKey): Float32Array {
  const u = uniforms(count + (count % 2), key);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - u[i]!));
    values[i] = radius * Math.cos(2 * Math.PI * u[i + 1]!);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(2 * Math.PI * u[i + 1]!);
  }
  return values;
}
