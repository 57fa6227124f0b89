import { normals } from '@glulam/tensors';
import { describe, expect, test } from 'vitest';
import { principalParts, type Products } from './principal-parts.js';
import { symmetricEigen } from './symmetric-eigen.js';

/** W [out, in] with plain loops in double precision, results rounded to float32. */
function productsOf(W: Float32Array, [out, input]: readonly [number, number]): Products & { count: number } {
  const products = {
    count: 0,
    times: async (x: Float32Array, rows: number) => {
      products.count += 1;
      return Float32Array.from({ length: rows * out }, (_, at) => {
        const [row, o] = [Math.floor(at / out), at % out];
        let sum = 0;
        for (let i = 0; i < input; i++) sum += x[row * input + i]! * W[o * input + i]!;
        return sum;
      });
    },
    timesTransposed: async (y: Float32Array, rows: number) =>
      Float32Array.from({ length: rows * input }, (_, at) => {
        const [row, i] = [Math.floor(at / input), at % input];
        let sum = 0;
        for (let o = 0; o < out; o++) sum += y[row * out + o]! * W[o * input + i]!;
        return sum;
      }),
  };
  return products;
}

/** All singular values and W's best approximation of a rank, from the full eigendecomposition of W^T W. */
function bruteForce(W: Float32Array, [out, input]: readonly [number, number], rank: number) {
  const gram = Float64Array.from({ length: input * input }, (_, at) => {
    const [i, j] = [Math.floor(at / input), at % input];
    let sum = 0;
    for (let o = 0; o < out; o++) sum += W[o * input + i]! * W[o * input + j]!;
    return sum;
  });
  const { values, vectors } = symmetricEigen(gram, input);
  const best = new Float64Array(out * input);
  for (const v of vectors.slice(0, rank))
    for (let o = 0; o < out; o++) {
      let image = 0;
      for (let i = 0; i < input; i++) image += W[o * input + i]! * v[i]!;
      for (let i = 0; i < input; i++) best[o * input + i]! += image * v[i]!;
    }
  return { values: values.map((value) => Math.sqrt(Math.max(0, value))), best };
}

async function approximation(W: Float32Array, shape: readonly [number, number], rank: number, iterations?: number) {
  const [out, input] = shape;
  const { left, values, right } = await principalParts(productsOf(W, shape), shape, rank, iterations);
  const product = new Float64Array(out * input);
  values.forEach((value, k) => {
    for (let o = 0; o < out; o++)
      for (let i = 0; i < input; i++) product[o * input + i]! += value * left[k * out + o]! * right[k * input + i]!;
  });
  return { values, product };
}
const distance = (a: Float64Array, b: Float64Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0)) / Math.hypot(...b);

describe('principal parts', () => {
  test.each([
    [[48, 32], 4],
    [[32, 88], 8],
    [[7, 20], 7],
    [[96, 96], 3],
    [[5, 1], 1],
  ] as const)('of a random matrix %j, the flattest there is: rank %i', async (shape, rank) => {
    const W = normals(shape[0] * shape[1], [1, ...shape, rank]);
    const expected = bruteForce(W, shape, rank);
    const { values, product } = await approximation(W, shape, rank);
    values.forEach((value, k) =>
      expect(Math.abs(value - expected.values[k]!)).toBeLessThan(1e-5 * expected.values[0]!),
    );
    expect(distance(product, expected.best)).toBeLessThan(1e-3);
  });

  test('of a matrix of a low rank: zeros behind it', async () => {
    const [u, v] = [normals(20, [1, 0, 0, 0]), normals(30, [2, 0, 0, 0])];
    const W = Float32Array.from({ length: 600 }, (_, at) => u[Math.floor(at / 30)]! * v[at % 30]!);
    const { values, product } = await approximation(W, [20, 30], 4);
    expect(distance(product, Float64Array.from(W))).toBeLessThan(1e-6);
    expect(values[0]).toBeCloseTo(Math.hypot(...u) * Math.hypot(...v), 3);
    for (const value of values.slice(1)) expect(value).toBeLessThan(1e-5 * values[0]!);
    expect([...(await approximation(new Float32Array(600), [20, 30], 4)).values]).toEqual([0, 0, 0, 0]);
  });

  test('a number of iterations is kept to, and more come closer', async () => {
    const shape = [120, 100] as const;
    const W = normals(12_000, [5, 5, 5, 5]);
    const { best } = bruteForce(W, shape, 4);
    const distances = [];
    for (const iterations of [0, 2, 8]) {
      const products = productsOf(W, shape);
      await principalParts(products, shape, 4, iterations);
      expect(products.count).toBe(iterations + 1);
      distances.push(distance((await approximation(W, shape, 4, iterations)).product, best));
    }
    expect(distances[1]).toBeLessThan(0.7 * distances[0]!);
    expect(distances[2]).toBeLessThan(0.1 * distances[1]!);
  });
});
