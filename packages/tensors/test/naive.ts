import { uniforms, type RandomKey, type Segment } from '../src/index.js';

// What operations compute, on plain lists of float64 numbers: loops over indices, with nothing shared or fused. All lists
// are row-major.

type Shape = readonly number[];
type Numbers = readonly number[];

/** Every index of a shape in row-major order; one empty index for a scalar. */
export function indices(shape: Shape): number[][] {
  return shape.reduce<number[][]>(
    (all, length) => all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i])),
    [[]],
  );
}

/** Where an index is in a list. Axes are aligned at the last one, and an axis of length 1 is repeated. */
export function placeOf(shape: Shape, index: Shape): number {
  const own = index.slice(index.length - shape.length);
  return shape.reduce((place, length, axis) => place * length + (length === 1 ? 0 : own[axis]!), 0);
}

/** Builds a list from the element at each index of its shape. */
export const build = (shape: Shape, at: (index: number[]) => number): number[] => indices(shape).map(at);

/** f of two arrays, broadcast to `shape`. */
export const broadcast =
  (shape: Shape, shapeA: Shape, shapeB: Shape, f: (a: number, b: number) => number) =>
  (a: Numbers, b: Numbers): number[] =>
    build(shape, (index) => f(a[placeOf(shapeA, index)]!, b[placeOf(shapeB, index)]!));

const dot = (length: number, term: (i: number) => number): number =>
  Array.from({ length }, (_, i) => term(i)).reduce((sum, value) => sum + value, 0);

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** x [rows, k] times the transposed W [columns, k]: [rows, columns]. */
export function timesTransposed(x: Numbers, w: Numbers, k: number): number[] {
  const [rows, columns] = [x.length / k, w.length / k];
  return build([rows, columns], ([i, j]) => dot(k, (l) => x[i! * k + l]! * w[j! * k + l]!));
}

export const capped = (x: number, softCap: number | undefined): number =>
  softCap === undefined ? x : softCap * Math.tanh(x / softCap);

/** x times the standard normal distribution's share below it, approximated with tanh (Hendrycks & Gimpel 2016). */
export const geluTanh = (x: number): number =>
  (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

export function rmsNorm(x: Numbers, weight: Numbers, epsilon: number): number[] {
  const hidden = weight.length;
  return x.map((value, i) => {
    const row = Math.floor(i / hidden) * hidden;
    const meanSquare = dot(hidden, (j) => x[row + j]! ** 2) / hidden;
    return (value / Math.sqrt(meanSquare + epsilon)) * weight[i % hidden]!;
  });
}

/** Element i of a head is rotated with element i + half, by the angle [tokens, half] of its token; those after them stay. */
export function rope(x: Numbers, angles: Numbers, headSize: number, heads: number, half = headSize / 2): number[] {
  const tokens = angles.length / half;
  return build([tokens, heads, headSize], ([token, head, i]) => {
    const start = (token! * heads + head!) * headSize;
    if (i! >= 2 * half) return x[start + i!]!;
    const pair = i! % half;
    const angle = angles[token! * half + pair]!;
    const [first, second] = [x[start + pair]!, x[start + pair + half]!];
    return i! < half
      ? first * Math.cos(angle) - second * Math.sin(angle)
      : second * Math.cos(angle) + first * Math.sin(angle);
  });
}

export interface NaiveAttention {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly window: number;
  readonly scale: number;
  readonly softCap?: number | undefined;
  readonly segments: readonly Segment[];
}

export function attention(q: Numbers, k: Numbers, v: Numbers, options: NaiveAttention): number[] {
  const { heads, keyValueHeads, headSize, window, scale, softCap, segments } = options;
  const output: number[] = [];
  for (const { queryStart, queryLength, keyStart, keyLength } of segments)
    for (let i = 0; i < queryLength; i++)
      for (let head = 0; head < heads; head++) {
        const position = keyLength - queryLength + i;
        const first = window === 0 ? 0 : Math.max(0, position - window + 1);
        const keys = Array.from({ length: position - first + 1 }, (_, j) => keyStart + first + j);
        const shared = Math.floor(head / (heads / keyValueHeads));
        const at = (row: number): number => (row * keyValueHeads + shared) * headSize;
        const query = ((queryStart + i) * heads + head) * headSize;
        const weights = keys.map((row) => {
          const score = scale * dot(headSize, (d) => q[query + d]! * k[at(row) + d]!);
          return Math.exp(capped(score, softCap));
        });
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (let d = 0; d < headSize; d++)
          output.push(dot(keys.length, (j) => (weights[j]! / total) * v[at(keys[j]!) + d]!));
      }
  return output;
}

/** 1 / (1 - rate) for an element that stays, else 0. */
export const keepFactors = (size: number, rate: number, key: RandomKey): number[] =>
  [...uniforms(size, key)].map((drawn) => (drawn >= Math.fround(rate) ? 1 / (1 - rate) : 0));

/** Of each row the negative log likelihood of its label, or 0 where the label is negative. */
export function tokenLosses(x: Numbers, head: Numbers, hidden: number, labels: Int32Array, softCap?: number): number[] {
  const logits = timesTransposed(x, head, hidden).map((logit) => capped(logit, softCap));
  const vocabulary = head.length / hidden;
  return [...labels].map((label, row) => {
    const own = logits.slice(row * vocabulary, (row + 1) * vocabulary);
    return label < 0 ? 0 : Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0)) - own[label]!;
  });
}
