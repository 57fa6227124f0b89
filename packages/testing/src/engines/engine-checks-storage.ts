import assert from 'node:assert/strict';
import { fromBfloat16Bits, toBfloat16Bits } from '@glulam/files';
import { createReferenceEngine, scope, uniforms, type Engine, type Tensor } from '@glulam/tensors';
import { assertClose, assertMatches, compute, randomTensor, randomValues, type EngineCheck } from './engine-check.js';

/** Moving values rounds nothing. */
const exact = 0;

const show = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

function permutations(axes: readonly number[]): number[][] {
  if (axes.length === 0) return [[]];
  return axes.flatMap((axis) => permutations(axes.filter((other) => other !== axis)).map((rest) => [axis, ...rest]));
}

/** In both stored floating types. */
const types: Readonly<Record<string, (engine: Engine, x: Tensor) => Tensor>> = {
  float32: (_, x) => x,
  bfloat16: (engine, x) => engine.cast(x, 'bfloat16'),
};

const indices = (engine: Engine, count: number, rows: number): Tensor =>
  engine.upload(
    Int32Array.from(uniforms(count, [9, 9, count, rows]), (u) => Math.floor(u * rows)),
    [count],
  );

export const storageChecks: readonly EngineCheck[] = [
  {
    name: 'upload and read give the same bits',
    async run(engine) {
      for (const shape of [[], [1], [0], [7], [0, 5], [3, 5], [2, 3, 5, 7], [1031]]) {
        const values = randomValues(shape);
        const got = await compute(engine, () => engine.upload(values, shape));
        assertClose(`float32 ${show(shape)}`, got, { shape, dtype: 'float32', values }, exact);
        const whole = Int32Array.from(values, (value) => value * 1e9);
        const gotWhole = await compute(engine, () => engine.upload(whole, shape));
        assert.ok(gotWhole.values instanceof Int32Array, 'int32 is read as an Int32Array');
        assertClose(`int32 ${show(shape)}`, gotWhole, { shape, dtype: 'int32', values: whole }, exact);
      }
      const values = Float32Array.of(-0, Infinity, -Infinity, NaN, 3.4028234663852886e38, -1.1754943508222875e-38);
      const got = await compute(engine, () => engine.upload(values, [6]));
      assertClose('special values', got, { shape: [6], dtype: 'float32', values }, exact);
    },
  },
  {
    name: 'upload and read copy',
    async run(engine) {
      const given = Float32Array.of(1, 2, 3);
      const x = engine.upload(given, [3]);
      given.fill(9);
      const first = await engine.read(x);
      assert.deepEqual([...first], [1, 2, 3], 'upload keeps a copy of its own');
      first.fill(9);
      assert.deepEqual([...(await engine.read(x))], [1, 2, 3], 'read gives a copy');
      x.release();
    },
  },
  {
    name: 'full',
    async run(engine) {
      for (const shape of [[], [1], [0, 3], [3, 5], [1031]]) {
        await assertMatches(engine, `full ${show(shape)}`, exact, (on) => on.full(shape, -2.5));
      }
    },
  },
  {
    name: 'cast to bfloat16 rounds to nearest, ties to even, and back is exact',
    async run(engine) {
      const half = 2 ** -8; // half a unit in the last place of 1
      const special = [
        0,
        -0,
        1 + half,
        1 + 3 * half,
        -1 - half,
        1 + half * 1.001,
        1 + half * 0.999,
        Infinity,
        -Infinity,
      ];
      // The largest float32 rounds up to infinity, the largest bfloat16 stays.
      const values = Float32Array.of(...special, NaN, 3.4028234663852886e38, 3.3895313892515355e38, 2 ** -126, 1e-30);
      const shape = [values.length];
      const expected = Float32Array.from(values, (value) => fromBfloat16Bits(toBfloat16Bits(value)));
      const stored = await compute(engine, () => engine.cast(engine.upload(values, shape), 'bfloat16'));
      assertClose('special values', stored, { shape, dtype: 'bfloat16', values: expected }, exact);
      for (const sizes of [[], [1], [17], [1031], [3, 5, 7], [0, 3]]) {
        await assertMatches(engine, `to bfloat16 ${show(sizes)}`, exact, (on) =>
          on.cast(randomTensor(on, sizes), 'bfloat16'),
        );
        await assertMatches(engine, `and back ${show(sizes)}`, exact, (on) =>
          on.cast(on.cast(randomTensor(on, sizes), 'bfloat16'), 'float32'),
        );
      }
      await assertMatches(engine, 'to the same type', exact, (on) => on.cast(randomTensor(on, [7]), 'float32'));
    },
  },
  ...Object.entries(types).map(([type, typed]): EngineCheck => ({
    name: `slice and reshape of ${type}`,
    async run(engine) {
      const slices = [
        [[7], [2], [3]],
        [[7], [0], [7]],
        [[7], [7], [0]],
        [
          [5, 9],
          [1, 2],
          [3, 5],
        ],
        [
          [5, 9],
          [4, 0],
          [1, 9],
        ],
        [
          [33, 67],
          [1, 3],
          [31, 61],
        ],
        [
          [3, 5, 7],
          [1, 0, 2],
          [2, 5, 3],
        ],
        [
          [3, 5, 7],
          [0, 2, 0],
          [3, 0, 7],
        ],
        [
          [2, 3, 4, 5],
          [1, 1, 0, 2],
          [1, 2, 3, 3],
        ],
      ] as const;
      for (const [shape, start, size] of slices) {
        await assertMatches(engine, `slice ${show(shape)} ${show(start)} ${show(size)}`, exact, (on) =>
          on.slice(typed(on, randomTensor(on, shape)), start, size),
        );
      }
      for (const [from, to] of [
        [[6], [2, 3]],
        [[2, 3], [6]],
        [[1], []],
        [[], [1, 1]],
        [
          [0, 4],
          [2, 0],
        ],
        [
          [3, 5, 7],
          [7, 15],
        ],
      ]) {
        await assertMatches(engine, `reshape ${show(from!)} ${show(to!)}`, exact, (on) =>
          on.reshape(typed(on, randomTensor(on, from!)), to!),
        );
      }
    },
  })),
  {
    name: 'a reshaped tensor outlives the one it was made from',
    async run(engine) {
      const x = randomTensor(engine, [3, 5]);
      const y = engine.reshape(x, [15]);
      x.release();
      const z = randomTensor(engine, [3, 5], 7); // would take the place if it were free
      assert.deepEqual(await engine.read(y), randomValues([3, 5]));
      y.release();
      z.release();
    },
  },
  {
    name: 'transpose by every permutation, up to 4 axes',
    async run(engine) {
      for (const shape of [[7], [5, 9], [67, 129], [3, 5, 7], [1, 4, 1], [2, 3, 4, 5], [0, 3]]) {
        for (const permutation of permutations(shape.map((_, axis) => axis))) {
          for (const [type, stored] of Object.entries(types)) {
            await assertMatches(engine, `transpose ${type} ${show(shape)} ${show(permutation)}`, exact, (on) =>
              on.transpose(stored(on, randomTensor(on, shape)), permutation),
            );
          }
        }
      }
    },
  },
  {
    name: 'concatenate along every axis',
    async run(engine) {
      for (const shape of [[3], [5, 7], [2, 3, 5], [2, 3, 4, 5]]) {
        for (let axis = 0; axis < shape.length; axis++) {
          for (const lengths of [[2], [1, 3], [2, 0, 3], [17, 1, 33]]) {
            for (const [type, stored] of Object.entries(types)) {
              await assertMatches(engine, `concatenate ${type} ${show(shape)} ${axis} ${show(lengths)}`, exact, (on) =>
                on.concatenate(
                  lengths.map((length, i) => stored(on, randomTensor(on, shape.with(axis, length), i))),
                  axis,
                ),
              );
            }
          }
        }
      }
    },
  },
  {
    name: 'gather rows',
    async run(engine) {
      for (const [rows, columns, count] of [
        [1, 1, 1],
        [7, 5, 13],
        [131, 67, 33],
        [5, 3, 0],
        [4, 1, 9],
      ] as const) {
        await assertMatches(engine, `gather ${rows} ${columns} ${count}`, exact, (on) =>
          on.gather(randomTensor(on, [rows, columns]), indices(on, count, rows)),
        );
      }
    },
  },
  {
    name: 'scatterAdd sums repeated rows and leaves the others 0',
    async run(engine) {
      for (const [rows, columns, count] of [
        [1, 1, 1],
        [7, 5, 13],
        [131, 67, 33],
        [5, 3, 0],
        [2, 1, 257],
      ] as const) {
        // Sums of up to some hundred float32 numbers.
        await assertMatches(engine, `scatterAdd ${rows} ${columns} ${count}`, 1e-5, (on) =>
          on.scatterAdd(indices(on, count, rows), randomTensor(on, [count, columns]), rows),
        );
      }
    },
  },
  ...Object.entries(types).map(([type, typed]): EngineCheck => ({
    name: `write in place, in order, ${type}`,
    async run(engine) {
      const regions = [
        [[], [], []],
        [[7], [2], [3]],
        [[7], [0], [7]],
        [
          [5, 9],
          [1, 2],
          [3, 5],
        ],
        [
          [67, 33],
          [3, 0],
          [61, 33],
        ],
        [
          [3, 5, 7],
          [1, 0, 2],
          [2, 5, 3],
        ],
        [
          [2, 3, 4, 5],
          [1, 1, 0, 2],
          [1, 2, 3, 3],
        ],
        [
          [4, 3],
          [2, 0],
          [0, 3],
        ],
      ] as const;
      for (const [shape, start, size] of regions) {
        await assertMatches(engine, `write ${show(shape)} ${show(start)} ${show(size)}`, exact, (on) => {
          const target = typed(on, randomTensor(on, shape, 1));
          on.write(target, typed(on, randomTensor(on, size, 2)), start);
          return target;
        });
      }
      await assertMatches(engine, 'what was read before a write', exact, (on) => {
        const target = typed(on, randomTensor(on, [5], 1));
        const before = on.slice(target, [0], [5]);
        on.write(target, typed(on, randomTensor(on, [5], 2)), [0]);
        return before;
      });
    },
  })),
  {
    name: 'operations run in the order they were asked for',
    async run(engine) {
      const x = engine.full([3], 0);
      const reads: Promise<Float32Array | Int32Array>[] = [];
      for (let i = 1; i <= 20; i++) {
        scope(() => engine.write(x, engine.affine(x, 1, i), [0]));
        reads.push(engine.read(x));
      }
      const seen = (await Promise.all(reads)).map((values) => values[0]);
      assert.deepEqual(
        seen,
        Array.from({ length: 20 }, (_, i) => ((i + 1) * (i + 2)) / 2),
      );
      x.release();
    },
  },
  {
    name: 'memory counts live tensors and bytes; scopes free what they made',
    async run(engine) {
      await engine.drain();
      const before = engine.memory();
      const x = engine.upload(new Float32Array(15), [3, 5]);
      await engine.drain();
      assert.equal(engine.memory().tensors, before.tensors + 1);
      assert.ok(engine.memory().bytes >= before.bytes + 60, 'a float32 tensor of 15 elements takes 60 bytes at least');
      const kept = scope(() => {
        const sum = engine.binary('add', x, x);
        return scope(() => ({ rows: [engine.cast(engine.affine(sum, 2, 0), 'bfloat16')] }));
      });
      await engine.drain();
      assert.equal(engine.memory().tensors, before.tensors + 2);
      assert.throws(() =>
        scope(() => {
          engine.unary('exp', x);
          throw new Error('from the body');
        }),
      );
      x.retain();
      x.release();
      await engine.drain();
      assert.equal(engine.memory().tensors, before.tensors + 2);
      for (const tensor of [x, ...kept.rows]) tensor.release();
      await engine.drain();
      assert.deepEqual(engine.memory(), before);
    },
  },
  {
    name: 'a chain of operations in scopes',
    async run(engine) {
      const reference = createReferenceEngine({ precision: engine.precision });
      const chain = (on: Engine): Tensor => {
        let x = randomTensor(on, [33, 17]);
        for (let i = 0; i < 12; i++) {
          x = scope(() => {
            // 2 sigmoid - 1 has slope 1/2 and these weights stretch by about 2: neither fading nor exploding.
            const y = on.unary('sigmoid', on.matmul(x, randomTensor(on, [17, 17], i, 0.5)));
            return on.affine(y, 2, -1);
          });
        }
        return x;
      };
      const expected = await compute(reference, () => chain(reference));
      // Twelve sums in a row, each within 1e-6 of exact.
      assertClose('chain', await compute(engine, () => chain(engine)), expected, 1e-5);
    },
  },
];
