import type { BinaryOperation, Engine, UnaryOperation } from '@glulam/tensors';
import { assertMatches, randomTensor, type EngineCheck } from './engine-check.js';

// Tolerances are relative distances (Frobenius) to the reference engine, which computes in double and rounds once.
/** Sums of float32 products: rounding grows with the square root of the count, a few 1e-7 at these sizes. */
const sums = 1e-5;
/** One operation an element: some units in the last place (6e-8), as vectorized exp and log have. */
const elements = 1e-6;
/** Comparing, choosing and moving round nothing. */
const exact = 0;

const shapes: readonly (readonly number[])[] = [
  [],
  [1],
  [17],
  [1031],
  [0, 4],
  [1, 1],
  [7, 13],
  [3, 5, 7],
  [2, 3, 5, 4],
];

/** Every way in which two shapes may broadcast. */
const pairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[], []],
  [[257], [257]],
  [[5], []],
  [[], [2, 3]],
  [
    [3, 1],
    [1, 4],
  ],
  [
    [1, 67],
    [33, 1],
  ],
  [[33, 67], [67]],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [2, 1, 4],
    [1, 3, 1],
  ],
  [
    [7, 1, 5],
    [7, 3, 5],
  ],
  [
    [2, 1, 3, 1],
    [1, 5, 1, 7],
  ],
  [[4], [2, 3, 5, 4]],
  [
    [0, 4],
    [1, 4],
  ],
];

const unaries: readonly UnaryOperation[] = ['neg', 'exp', 'log', 'sqrt', 'rsqrt', 'sigmoid'];
const binaries: readonly BinaryOperation[] = ['add', 'sub', 'mul', 'div', 'max', 'greaterEqual'];

/** Odd sizes, some past the blocks that kernels work in. */
const products: readonly (readonly [m: number, k: number, n: number])[] = [
  [1, 1, 1],
  [1, 7, 1],
  [1, 259, 67],
  [5, 1, 3],
  [7, 13, 11],
  [17, 67, 33],
  [64, 64, 64],
  [131, 71, 65],
  [0, 4, 3],
  [3, 4, 0],
  [3, 0, 2],
];

const show = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** Values that are 0.5 and more, for what is not defined or steep near 0. */
function positive(engine: Engine, shape: readonly number[], use = 0): ReturnType<Engine['full']> {
  const x = randomTensor(engine, shape, use);
  return engine.affine(engine.binary('mul', x, x), 1, 0.5);
}

export const arithmeticChecks: readonly EngineCheck[] = [
  ...unaries.map((operation): EngineCheck => ({
    name: `unary ${operation}`,
    async run(engine) {
      const domain = ['log', 'sqrt', 'rsqrt'].includes(operation) ? positive : randomTensor;
      const tolerance = operation === 'neg' ? exact : elements;
      for (const shape of shapes) {
        await assertMatches(engine, `${operation} ${show(shape)}`, tolerance, (on) =>
          on.unary(operation, domain(on, shape)),
        );
      }
    },
  })),
  {
    name: 'unary operations at their ends: what masks and saturated gates rely on',
    async run(engine) {
      const cases = [
        ['exp', [-1e30, -1000, 0], [0, 0, 1]],
        ['sigmoid', [-1e4, 0, 1e4], [0, 0.5, 1]],
        ['sqrt', [0, 1, 4], [0, 1, 2]],
        ['log', [1], [0]],
      ] as const;
      for (const [operation, given, expected] of cases) {
        await assertMatches(engine, operation, exact, (on) =>
          on === engine
            ? on.unary(operation, on.upload(Float32Array.from(given), [given.length]))
            : on.upload(Float32Array.from(expected), [expected.length]),
        );
      }
    },
  },
  ...binaries.map((operation): EngineCheck => ({
    name: `binary ${operation}, every broadcast`,
    async run(engine) {
      const tolerance = operation === 'max' || operation === 'greaterEqual' ? exact : elements;
      for (const [a, b] of pairs) {
        for (const [left, right] of [
          [a, b],
          [b, a],
        ] as const) {
          await assertMatches(engine, `${operation} ${show(left)} ${show(right)}`, tolerance, (on) =>
            on.binary(operation, randomTensor(on, left, 1), positive(on, right, 2)),
          );
        }
      }
    },
  })),
  {
    name: 'greaterEqual of equal numbers is 1',
    run: (engine) =>
      assertMatches(engine, 'greaterEqual', exact, (on) => {
        const x = randomTensor(on, [19]);
        return on.binary('greaterEqual', x, x);
      }),
  },
  {
    name: 'affine',
    async run(engine) {
      for (const shape of shapes) {
        for (const [factor, offset] of [
          [1, 0],
          [0, 3.5],
          [-0.75, 0],
          [1 / 3, -2.25],
        ] as const) {
          await assertMatches(engine, `affine ${show(shape)} ${factor} ${offset}`, elements, (on) =>
            on.affine(randomTensor(on, shape), factor, offset),
          );
        }
      }
    },
  },
  {
    name: 'select, every broadcast',
    async run(engine) {
      for (const [a, b] of pairs) {
        for (const condition of [a, b, []]) {
          await assertMatches(engine, `select ${show(condition)} ${show(a)} ${show(b)}`, exact, (on) =>
            on.select(
              on.binary('greaterEqual', randomTensor(on, condition, 3), on.full([], 0)),
              randomTensor(on, a, 1),
              randomTensor(on, b, 2),
            ),
          );
        }
      }
      await assertMatches(engine, 'select by any number but 0', exact, (on) =>
        on.select(on.upload(Float32Array.of(-2, 0, 0.5, -0), [4]), on.full([4], 1), on.full([], 2)),
      );
    },
  },
  {
    name: 'matmul with every transposition',
    async run(engine) {
      for (const [m, k, n] of products) {
        for (const transposeA of [false, true]) {
          for (const transposeB of [false, true]) {
            const what = `matmul ${m} ${k} ${n} ${transposeA} ${transposeB}`;
            await assertMatches(engine, what, sums, (on) => {
              const a = randomTensor(on, transposeA ? [k, m] : [m, k], 1);
              const b = randomTensor(on, transposeB ? [n, k] : [k, n], 2);
              return on.matmul(a, b, { transposeA, transposeB });
            });
          }
        }
      }
    },
  },
  {
    name: 'matmul of batches with every transposition',
    async run(engine) {
      for (const [batch, m, k, n] of [
        [1, 3, 5, 2],
        [3, 1, 7, 1],
        [5, 17, 13, 19],
        [2, 70, 65, 3],
        [0, 2, 3, 4],
      ] as const) {
        for (const transposeA of [false, true]) {
          for (const transposeB of [false, true]) {
            const what = `matmul ${batch} ${m} ${k} ${n} ${transposeA} ${transposeB}`;
            await assertMatches(engine, what, sums, (on) => {
              const a = randomTensor(on, transposeA ? [batch, k, m] : [batch, m, k], 1);
              const b = randomTensor(on, transposeB ? [batch, n, k] : [batch, k, n], 2);
              return on.matmul(a, b, { transposeA, transposeB });
            });
          }
        }
      }
    },
  },
  {
    name: 'reduce along every axis',
    async run(engine) {
      for (const shape of [[1], [1031], [7, 13], [3, 5, 7], [2, 3, 4, 5], [1, 4099], [65, 129], [0, 3]]) {
        for (let axis = 0; axis < shape.length; axis++) {
          await assertMatches(engine, `sum ${show(shape)} ${axis}`, sums, (on) =>
            on.reduce('sum', positive(on, shape), axis),
          );
          if (shape[axis] === 0) continue;
          // All below 0, so that a maximum that starts at 0 is found out.
          await assertMatches(engine, `max ${show(shape)} ${axis}`, exact, (on) =>
            on.reduce('max', on.unary('neg', positiveExact(on, shape)), axis),
          );
        }
      }
    },
  },
  {
    name: 'argmax: the first of equals, along the last axis',
    async run(engine) {
      for (const shape of [[1], [1031], [7, 13], [3, 5, 7], [5, 1], [0, 3], [33, 257]]) {
        await assertMatches(engine, `argmax ${show(shape)}`, exact, (on) => on.argmax(randomTensor(on, shape)));
      }
      const ties = Float32Array.of(1, 3, 3, 2, -1, -1, -1, -1, 0, -5, 7, 7);
      await assertMatches(engine, 'argmax of ties', exact, (on) =>
        on === engine ? on.argmax(on.upload(ties, [3, 4])) : on.upload(Int32Array.of(1, 0, 2), [3]),
      );
      await assertMatches(engine, 'argmax of equals past a vector', exact, (on) =>
        on === engine ? on.argmax(on.full([2, 131], -4)) : on.upload(Int32Array.of(0, 0), [2]),
      );
    },
  },
  {
    name: 'random is philox, bit for bit',
    async run(engine) {
      for (const shape of [[1], [3], [4], [1031], [7, 13], [3, 5, 7], [0]]) {
        for (const key of [
          [0, 0, 0, 0],
          [1, 2, 3, 4],
          [0xffffffff, 0xfffffffe, 0x80000000, 0x7fffffff],
        ] as const) {
          await assertMatches(engine, `random ${show(shape)} ${key.join(' ')}`, exact, (on) => on.random(shape, key));
        }
      }
    },
  },
];

/** As `positive`, made from uploaded values alone, so that engines see the same bits. */
function positiveExact(engine: Engine, shape: readonly number[]): ReturnType<Engine['full']> {
  const x = randomTensor(engine, shape);
  return engine.select(engine.binary('greaterEqual', x, engine.full([], 0)), x, engine.unary('neg', x));
}
