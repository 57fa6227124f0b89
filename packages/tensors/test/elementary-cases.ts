import type { Operations, Tensor } from '../src/index.js';
import type { GradientCase, GradientInput } from './gradient-case.js';
import { broadcast, build, indices, placeOf, sigmoid } from './naive.js';

/** Shapes of a and b, and of what they broadcast to. */
const pairs = [
  { a: [2, 3], b: [2, 3], y: [2, 3] },
  { a: [2, 1, 3], b: [4, 1], y: [2, 4, 3] },
  { a: [3], b: [2, 3], y: [2, 3] },
  { a: [], b: [1, 2], y: [1, 2] },
] as const;

function binary(
  name: 'add' | 'sub' | 'mul' | 'div',
  f: (a: number, b: number) => number,
  range: Partial<GradientInput> = {},
): GradientCase[] {
  const twice: GradientCase = {
    name: 'one tensor as both operands',
    inputs: { a: { shape: [2, 3], from: 0.5 } },
    run: (ops, { a }) => ops[name](a!, ops[name](a!, a!)),
    naive: ({ a }) => a!.map((value) => f(value, f(value, value))),
  };
  const both = pairs.map(({ a, b, y }): GradientCase => ({
    name: `[${a.join()}] and [${b.join()}]`,
    inputs: { a: { shape: a }, b: { shape: b, ...range } },
    run: (ops, inputs) => ops[name](inputs['a']!, inputs['b']!),
    naive: (values) => broadcast(y, a, b, f)(values['a']!, values['b']!),
  }));
  return [...both, twice];
}

function unary(
  run: (ops: Operations, x: Tensor) => Tensor,
  f: (x: number) => number,
  input: Partial<GradientInput> = {},
): GradientCase[] {
  return [
    {
      name: `of ${input.from ?? -1} to ${input.to ?? 1}`,
      inputs: { x: { shape: [3, 4], ...input } },
      run: (ops, { x }) => run(ops, x!),
      naive: ({ x }) => x!.map(f),
    },
  ];
}

const flags = [false, true];
const matmul = [undefined, 2].flatMap((batch) =>
  flags.flatMap((transposeA) =>
    flags.map((transposeB): GradientCase => {
      const [m, k, n] = [2, 3, 4];
      const before = batch === undefined ? [] : [batch];
      const shapeA = [...before, ...(transposeA ? [k, m] : [m, k])];
      const shapeB = [...before, ...(transposeB ? [n, k] : [k, n])];
      const turned = (is: boolean, i: number, j: number): number[] => (is ? [j, i] : [i, j]);
      return {
        name: `[${shapeA.join()}]${transposeA ? ' transposed' : ''} times [${shapeB.join()}]${transposeB ? ' transposed' : ''}`,
        inputs: { a: { shape: shapeA }, b: { shape: shapeB } },
        run: (ops, { a, b }) => ops.matmul(a!, b!, { transposeA, transposeB }),
        naive: ({ a, b }) =>
          build([...before, m, n], (index) => {
            const [i, j] = index.slice(-2) as [number, number];
            const which = index.slice(0, -2);
            let sum = 0;
            for (let l = 0; l < k; l++)
              sum +=
                a![placeOf(shapeA, [...which, ...turned(transposeA, i, l)])]! *
                b![placeOf(shapeB, [...which, ...turned(transposeB, l, j)])]!;
            return sum;
          }),
      };
    }),
  ),
);

const cube = [2, 3, 4];
const sum = [0, 1, 2].map((axis): GradientCase => ({
  name: `along axis ${axis}`,
  inputs: { x: { shape: cube } },
  run: (ops, { x }) => ops.sum(x!, axis),
  naive: ({ x }) =>
    build(cube.with(axis, 1), (index) => {
      let total = 0;
      for (let i = 0; i < cube[axis]!; i++) total += x![placeOf(cube, index.with(axis, i))]!;
      return total;
    }),
}));

const sumAll = [cube, []].map((shape): GradientCase => ({
  name: `of [${shape.join()}]`,
  inputs: { x: { shape } },
  run: (ops, { x }) => ops.sumAll(x!),
  naive: ({ x }) => [x!.reduce((total, value) => total + value, 0)],
}));

const cast = (
  [
    ['float32', 'bfloat16'],
    ['bfloat16', 'float32'],
    ['float32', 'float32'],
  ] as const
).map(([from, to]): GradientCase => ({
  name: `${from} to ${to}: the gradient passes as it is`,
  inputs: { x: { shape: [2, 3], dtype: from } },
  // A cast that changes nothing is x itself, which is no output of the tape's.
  run: (ops, { x }) => (from === to ? ops.affine(ops.cast(x!, to), 1, 0) : ops.cast(x!, to)),
  naive: ({ x }) => [...x!],
}));

const slice: GradientCase = {
  name: 'a region inside',
  inputs: { x: { shape: cube } },
  run: (ops, { x }) => ops.slice(x!, [1, 0, 1], [1, 2, 3]),
  naive: ({ x }) => build([1, 2, 3], ([i, j, l]) => x![placeOf(cube, [i! + 1, j!, l! + 1])]!),
};

const reshape: GradientCase = {
  name: '[2, 3, 4] to [6, 4]',
  inputs: { x: { shape: cube } },
  run: (ops, { x }) => ops.reshape(x!, [6, 4]),
  naive: ({ x }) => [...x!],
};

const permutations = [
  [2, 0, 1],
  [1, 2, 0],
  [0, 2, 1],
];
const transpose = permutations.map((permutation): GradientCase => ({
  name: `by [${permutation.join()}]`,
  inputs: { x: { shape: cube } },
  run: (ops, { x }) => ops.transpose(x!, permutation),
  naive: ({ x }) =>
    build(
      permutation.map((axis) => cube[axis]!),
      (index) => {
        const from = [0, 0, 0];
        permutation.forEach((axis, i) => (from[axis] = index[i]!));
        return x![placeOf(cube, from)]!;
      },
    ),
}));

const concatenate = [0, 1, 2].map((axis): GradientCase => {
  const wide = cube.with(axis, 5);
  return {
    name: `along axis ${axis}, one part twice`,
    inputs: { a: { shape: cube }, b: { shape: wide } },
    run: (ops, { a, b }) => ops.concatenate([a!, b!, a!], axis),
    naive: ({ a, b }) => {
      const length = cube[axis]!;
      return build(cube.with(axis, 2 * length + 5), (index) => {
        const i = index[axis]!;
        if (i < length) return a![placeOf(cube, index)]!;
        if (i < length + 5) return b![placeOf(wide, index.with(axis, i - length))]!;
        return a![placeOf(cube, index.with(axis, i - length - 5))]!;
      });
    },
  };
});

const picked = [3, 0, 3, 1, 3];
const gather: GradientCase = {
  name: 'rows of which one is picked three times and one never',
  inputs: { table: { shape: [4, 3] } },
  run: (ops, { table }) => ops.gather(table!, ops.engine.upload(Int32Array.from(picked), [picked.length])),
  naive: ({ table }) => picked.flatMap((row) => table!.slice(3 * row, 3 * row + 3)),
};

const softmax: GradientCase = {
  name: 'in a softmax along the last axis',
  inputs: { x: { shape: [3, 4], from: -2, to: 2 } },
  run: (ops, { x }) => {
    const exponentials = ops.exp(ops.sub(x!, ops.engine.reduce('max', x!, 1)));
    return ops.div(exponentials, ops.sum(exponentials, 1));
  },
  naive: ({ x }) => {
    const powers = x!.map((value) => Math.exp(value));
    return indices([3, 4]).map(([row], i) => powers[i]! / powers.slice(4 * row!, 4 * row! + 4).reduce((a, b) => a + b));
  },
};

const recomputed: GradientCase = {
  name: 'of two tensors, one of them used twice',
  inputs: { x: { shape: [2, 3] }, w: { shape: [3] } },
  run: (ops, { x, w }) =>
    ops.mul(
      x!,
      ops.recomputed(x!, [w!], (input) => ops.mul(ops.sigmoid(ops.mul(input, w!)), w!)),
    ),
  naive: ({ x, w }) => x!.map((value, i) => value * sigmoid(value * w![i % 3]!) * w![i % 3]!),
};

/** Cases of the operations that are one step of the tape each, by the method of `Operations`. */
export const elementaryCases: Readonly<Record<string, readonly GradientCase[]>> = {
  add: binary('add', (a, b) => a + b),
  sub: binary('sub', (a, b) => a - b),
  mul: binary('mul', (a, b) => a * b),
  div: [...binary('div', (a, b) => a / b, { from: 0.5, to: 1.5 }), softmax],
  affine: unary(
    (ops, x) => ops.affine(x, -2.5, 0.75),
    (x) => -2.5 * x + 0.75,
  ),
  exp: unary((ops, x) => ops.exp(x), Math.exp, { to: 2 }),
  log: unary((ops, x) => ops.log(x), Math.log, { from: 0.25, to: 2 }),
  rsqrt: unary(
    (ops, x) => ops.rsqrt(x),
    (x) => 1 / Math.sqrt(x),
    { from: 0.25, to: 2 },
  ),
  sigmoid: unary((ops, x) => ops.sigmoid(x), sigmoid, { from: -4, to: 4 }),
  matmul,
  sum,
  sumAll,
  cast,
  slice: [slice],
  reshape: [reshape],
  transpose,
  concatenate,
  gather: [gather],
  recomputed: [recomputed],
};
