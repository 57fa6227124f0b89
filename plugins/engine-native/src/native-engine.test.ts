import { createReferenceEngine, normals, scope, sizeOf, type Engine, type Tensor } from '@glulam/tensors';
import { describe, expect, it } from 'vitest';
import { loadAddon } from './addon.js';
import { createNativeEngine } from './native-engine.js';

type Operation = (engine: Engine) => Tensor;

const input = (engine: Engine, shape: readonly number[], use: number): Tensor =>
  engine.upload(normals(sizeOf(shape), [3, 0, 0, use]), shape);
const indices = (engine: Engine, ...values: number[]): Tensor =>
  engine.upload(Int32Array.from(values), [values.length]);
/** Broadcasting along leading, middle and last axes, and of scalars. */
const pairs: readonly (readonly [number[], number[]])[] = [
  [
    [5, 300],
    [5, 300],
  ],
  [[5, 300], [300]],
  [
    [7, 5, 1],
    [5, 130],
  ],
  [
    [4, 1, 3, 1, 2],
    [5, 1, 6, 1],
  ],
  [[], [70000]],
  [[], []],
  [[0, 3], [3]],
];

const operations: Readonly<Record<string, Operation>> = {
  'full of no axis': (engine) => engine.full([], 2.5),
  affine: (engine) => engine.affine(input(engine, [3, 1000], 0), 0.3, -2),
  'cast there and back': (engine) => engine.cast(engine.cast(input(engine, [9, 1001], 0), 'bfloat16'), 'float32'),
  select: (engine) => {
    const condition = engine.binary('greaterEqual', input(engine, [6, 1, 40], 0), engine.full([], 0));
    return engine.select(condition, input(engine, [5, 40], 1), input(engine, [6, 5, 1], 2));
  },
  gather: (engine) => engine.gather(input(engine, [9, 33], 0), indices(engine, 8, 0, 3, 3)),
  scatterAdd: (engine) => engine.scatterAdd(indices(engine, 4, 0, 4, 4), input(engine, [4, 33], 0), 6),
  slice: (engine) => engine.slice(input(engine, [4, 9, 11], 0), [1, 0, 3], [2, 9, 5]),
  'slice of nothing': (engine) => engine.slice(input(engine, [4, 9], 0), [4, 0], [0, 9]),
  'slice of bfloat16': (engine) =>
    engine.cast(engine.slice(engine.cast(input(engine, [4, 9], 0), 'bfloat16'), [1, 2], [3, 7]), 'float32'),
  transpose: (engine) => engine.transpose(input(engine, [3, 70, 5, 9], 0), [2, 0, 3, 1]),
  reshape: (engine) => engine.reshape(input(engine, [6, 4], 0), [3, 8]),
  concatenate: (engine) =>
    engine.concatenate([input(engine, [3, 2, 4], 0), input(engine, [3, 5, 4], 1), input(engine, [3, 0, 4], 2)], 1),
  argmax: (engine) => engine.argmax(engine.upload(Float32Array.of(1, 3, 3, 2, -1, -2, -3, -1), [2, 1, 4])),
  write: (engine) => {
    const target = input(engine, [5, 6, 7], 0);
    engine.write(target, input(engine, [2, 6, 3], 1), [3, 0, 4]);
    return target;
  },
  random: (engine) => engine.random([3, 4099], [1, 2 ** 32 - 1, 3, 4]),
  ...Object.fromEntries(
    (['sum', 'max'] as const).flatMap((operation) =>
      [0, 1, 2].map((axis): [string, Operation] => [
        `${operation} along axis ${axis}`,
        (engine) => engine.reduce(operation, input(engine, [40, 50, 60], 0), axis),
      ]),
    ),
  ),
  ...Object.fromEntries(
    (['neg', 'exp', 'log', 'sqrt', 'rsqrt', 'sigmoid'] as const).map((operation): [string, Operation] => [
      operation,
      (engine) => {
        const x = input(engine, [7, 999], 0);
        return engine.unary(
          operation,
          /log|sqrt/.test(operation) ? engine.affine(engine.binary('mul', x, x), 1, 0.01) : x,
        );
      },
    ]),
  ),
  ...Object.fromEntries(
    (['add', 'sub', 'mul', 'div', 'max', 'greaterEqual'] as const).flatMap((operation) =>
      pairs.map(([a, b]): [string, Operation] => [
        `${operation} of [${String(a)}] and [${String(b)}]`,
        (engine) => engine.binary(operation, input(engine, a, 0), input(engine, b, 1)),
      ]),
    ),
  ),
  ...Object.fromEntries(
    [false, true].flatMap((transposeA) =>
      [false, true].flatMap((transposeB) =>
        [[], [3]].map((batch): [string, Operation] => [
          `matmul${transposeA ? ' of a transposed' : ''}${transposeB ? ' by b transposed' : ''}${batch.length ? ' in batches' : ''}`,
          (engine) =>
            engine.matmul(
              input(engine, [...batch, ...(transposeA ? [60, 45] : [45, 60])], 0),
              input(engine, [...batch, ...(transposeB ? [70, 60] : [60, 70])], 1),
              { transposeA, transposeB },
            ),
        ]),
      ),
    ),
  ),
};

const { isas } = loadAddon();
for (const isa of ['plain', 'avx2', 'avx512'] as const) {
  for (const threads of [1, 2]) {
    describe.skipIf(!isas.includes(isa))(`operations on ${isa}, threads: ${threads}`, () => {
      it.each(Object.entries(operations))('%s', async (_name, operation) => {
        const reference = createReferenceEngine({ precision: 'float32' });
        const engine = createNativeEngine({ isa, threads });
        const [expected, got] = [reference, engine].map((each) => scope(() => operation(each))) as [Tensor, Tensor];
        expect([got.shape, got.dtype]).toEqual([expected.shape, expected.dtype]);
        expect(engine.memory()).toEqual(reference.memory());
        const [values, result] = await Promise.all([reference.read(expected), engine.read(got)]);
        expect(result.length).toBe(values.length);
        const largest = Math.max(0, ...Array.from(values.slice(0, 50_000), Math.abs));
        values.forEach((value, i) => {
          const difference = Math.abs(result[i]! - value);
          if (!(difference <= 2e-6 * Math.max(Math.abs(value), largest * 0.1))) {
            throw new Error(`element ${i} is ${result[i]}, not ${value}`);
          }
        });
        got.release();
        await engine.close();
      });
    });
  }
  if (!isas.includes(isa)) console.log(`skipped: this machine has no ${isa} (it has ${isas.join(', ')})`);
}
