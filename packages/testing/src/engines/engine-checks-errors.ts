import assert from 'node:assert/strict';
import { bytesPerElement, type DType } from '@glulam/files';
import { scope, TensorsError, type Engine, type Tensor } from '@glulam/tensors';
import { assertClose, assertThrows, compute, randomValues, withWeights, type EngineCheck } from './engine-check.js';

/** A command fails behind the call, so that it must be told by the next read and drain; what then? */
function outOfRange(
  operation: 'gather' | 'scatterAdd',
  call: (engine: Engine, index: number) => Tensor,
): EngineCheck[] {
  return [-1, 5].map((index) => ({
    name: `${operation} at index ${index} of 5 rows rejects at the next read, naming itself`,
    breaks: true,
    async run(engine) {
      const named = (error: unknown): boolean => {
        assert.ok(error instanceof TensorsError, `expected a TensorsError, got ${String(error)}`);
        assert.equal(error.code, 'ENGINE_FAILED', error.message);
        assert.ok(error.message.includes(operation), `"${error.message}" does not name ${operation}`);
        return true;
      };
      const x = engine.full([3], 1);
      const result = scope(() => call(engine, index));
      await assert.rejects(async () => void (await engine.read(result)), named, `${operation}: read went through`);
      // From here on it either works as before or says what is wrong.
      await engine.read(x).then((values) => assert.deepEqual([...values], [1, 1, 1]), named);
      await engine.drain().then(() => undefined, named);
    },
  }));
}

type Call = (engine: Engine, x: Tensor, indices: Tensor) => unknown;

/** x is [3, 5], indices are int32 [2]. */
const wrongShapes: Readonly<Record<string, Call>> = {
  upload: (engine) => engine.upload(new Float32Array(5), [2, 3]),
  matmul: (engine, x) => engine.matmul(x, x),
  add: (engine, x) => engine.binary('add', x, engine.full([3], 1)),
  select: (engine, x) => engine.select(engine.full([4], 1), x, x),
  sum: (engine, x) => engine.reduce('sum', x, 2),
  max: (engine) => engine.reduce('max', engine.full([3, 0], 1), 1),
  argmax: (engine) => engine.argmax(engine.full([3, 0], 1)),
  gather: (engine, x, indices) => engine.gather(engine.reshape(x, [15]), indices),
  scatterAdd: (engine, x, indices) => engine.scatterAdd(indices, x, 4),
  slice: (engine, x) => engine.slice(x, [1, 0], [3, 5]),
  reshape: (engine, x) => engine.reshape(x, [4, 4]),
  transpose: (engine, x) => engine.transpose(x, [0, 0]),
  concatenate: (engine, x) => engine.concatenate([x, engine.full([3, 4], 1)], 0),
  write: (engine, x) => engine.write(x, engine.full([2, 5], 1), [2, 0]),
  full: (engine) => engine.full([2, -1], 0),
  random: (engine) => engine.random([1.5], [0, 0, 0, 0]),
};

const wrongTypes: Readonly<Record<string, Call>> = {
  cast: (engine, _, indices) => engine.cast(indices, 'bfloat16'),
  matmul: (engine, x) => engine.matmul(x, engine.cast(x, 'bfloat16'), { transposeB: true }),
  add: (engine, x) => engine.binary('add', x, engine.cast(x, 'bfloat16')),
  exp: (engine, x) => engine.unary('exp', engine.cast(x, 'bfloat16')),
  gather: (engine, x) => engine.gather(x, engine.full([2], 0)),
  scatterAdd: (engine, x) => engine.scatterAdd(engine.full([3], 0), x, 4),
  write: (engine, x) => engine.write(x, engine.cast(x, 'bfloat16'), [0, 0]),
};

/** The engine is as usable after a refused call as before. */
async function withInputs(engine: Engine, body: (x: Tensor, indices: Tensor) => void): Promise<void> {
  const x = engine.upload(randomValues([3, 5]), [3, 5]);
  const indices = engine.upload(Int32Array.of(0, 1), [2]);
  body(x, indices);
  assert.deepEqual(await engine.read(x), randomValues([3, 5]));
  x.release();
  indices.release();
}

export const errorChecks: readonly EngineCheck[] = [
  {
    name: 'shapes that do not fit are refused at once, naming the operation',
    run: (engine) =>
      withInputs(engine, (x, indices) => {
        for (const [name, call] of Object.entries(wrongShapes)) {
          assertThrows('SHAPE_MISMATCH', name, () => void call(engine, x, indices));
        }
      }),
  },
  {
    name: 'dtypes that do not fit are refused at once, naming the operation',
    run: (engine) =>
      withInputs(engine, (x, indices) => {
        for (const [name, call] of Object.entries(wrongTypes)) {
          assertThrows('DTYPE_MISMATCH', name, () => void call(engine, x, indices));
        }
      }),
  },
  {
    name: 'freed tensors are refused',
    async run(engine) {
      const x = engine.full([2, 2], 1);
      const gone = engine.full([2, 2], 1);
      gone.release();
      for (const call of [
        () => engine.unary('neg', gone),
        () => engine.binary('add', x, gone),
        () => engine.matmul(gone, x),
        () => engine.reshape(gone, [4]),
        () => engine.cast(gone, 'bfloat16'),
        () => engine.write(x, gone, [0, 0]),
        () => engine.concatenate([x, gone], 0),
        () => gone.release(),
      ]) {
        assertThrows('DISPOSED', 'freed', () => void call());
      }
      await assert.rejects(async () => void (await engine.read(gone)), { code: 'DISPOSED' });
      assert.deepEqual([...(await engine.read(x))], [1, 1, 1, 1]);
      x.release();
    },
  },
  ...outOfRange('gather', (engine, index) =>
    engine.gather(engine.full([5, 2], 1), engine.upload(Int32Array.of(4, index), [2])),
  ),
  ...outOfRange('scatterAdd', (engine, index) =>
    engine.scatterAdd(engine.upload(Int32Array.of(4, index), [2]), engine.full([2, 3], 1), 5),
  ),
];

const dtypes = ['float32', 'bfloat16', 'float16'] as const;

export const weightChecks: readonly EngineCheck[] = [
  {
    name: 'readWeight widens rows of a file, wherever they begin, and weights count as no tensors',
    run: (engine) => {
      const shapes = dtypes.flatMap((dtype) => [[7, 5], [1], [67, 33], [3, 2, 5]].map((shape) => ({ shape, dtype })));
      return withWeights(shapes, async (open) => {
        const before = engine.memory();
        const weights = await open(engine);
        await engine.drain();
        assert.deepEqual(engine.memory(), before, 'opening weights makes no tensors');
        for (const [i, weight] of weights.entries()) {
          const { shape, dtype, name } = weight;
          assert.deepEqual([[...shape], dtype, name], [shapes[i]!.shape, shapes[i]!.dtype, `weight${i}`]);
          const all = roundTo(dtype, randomValues(shape, 1000 + i));
          const rows = shape[0]!;
          const rowSize = all.length / rows;
          for (const [start, end] of [
            [0, rows],
            [rows - 1, rows],
            [Math.floor(rows / 3), rows],
            [rows, rows],
          ] as const) {
            const got = await compute(engine, () => engine.readWeight(weight, start, end));
            const values = all.slice(start * rowSize, end * rowSize);
            assertClose(
              `${dtype} [${shape.join(', ')}] rows ${start} to ${end}`,
              got,
              { shape: [end - start, ...shape.slice(1)], dtype: 'float32', values },
              0,
            );
          }
          for (const [start, end] of [
            [0, rows + 1],
            [-1, rows],
            [rows, rows - 1],
          ] as const) {
            assertThrows('SHAPE_MISMATCH', 'readWeight', () => engine.readWeight(weight, start, end));
          }
        }
      });
    },
  },
];

/** What a file of this dtype keeps of the values. All three are checked against independent arithmetic. */
function roundTo(dtype: DType, values: Float32Array): Float32Array {
  if (dtype === 'float32') return values;
  // Significant bits, the leading one included; the random values are far from both ends of the exponents but for float16.
  const bits = dtype === 'bfloat16' ? 8 : 11;
  assert.equal(bytesPerElement[dtype], 2);
  return values.map((value) => {
    if (value === 0) return 0;
    const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), dtype === 'float16' ? -14 : -126);
    const unit = 2 ** (exponent - bits + 1);
    const scaled = value / unit;
    const down = Math.floor(scaled);
    const tie = scaled - down === 0.5;
    return (tie ? down + (Math.abs(down) % 2) : Math.round(scaled)) * unit;
  });
}
