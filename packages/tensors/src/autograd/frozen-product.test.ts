import { expect, test } from 'vitest';
import { knownWeight } from '../../test/gradient-case.js';
import { scope, type Tensor } from '../contract/tensor.js';
import { normals } from '../contract/philox.js';
import { createPlanningEngine } from '../engines/planning/planning-engine.js';
import { createReferenceEngine } from '../engines/reference/reference-engine.js';
import { rowBlocks } from './frozen-product.js';
import { createOperations } from './operations.js';
import { createTape } from './tape.js';

// A weight that is read in three parts.
const [rows, columns, tokens] = [2100, 1000, 2];
const weight = knownWeight([rows, columns], 'bfloat16');

const spans = (shape: readonly number[]) => [...rowBlocks({ name: 'w', shape, dtype: 'float32', storage: undefined })];

test('the blocks of a weight’s rows cover it in order, 2^20 elements each or one row', () => {
  expect(spans([rows, columns])).toEqual([
    [0, 1048],
    [1048, 2096],
    [2096, 2100],
  ]);
  expect(spans([2, 2 ** 22])).toEqual([
    [0, 1],
    [1, 2],
  ]);
  expect(spans([5, 3])).toEqual([[0, 5]]);
  expect(spans([0, 3])).toEqual([]);
});

test('the product by blocks is the whole one bit for bit; the gradient differs by the order of its sums', async () => {
  const engine = createReferenceEngine();
  const ops = createOperations(engine);
  const frozen = await weight.open(engine);
  const x = engine.upload(normals(tokens * columns, [1, 2, 3, 4]), [tokens, columns]);
  const seed = engine.upload(normals(tokens * rows, [4, 3, 2, 1]), [tokens, rows]);
  const pass = async (run: (x: Tensor) => Tensor) => {
    const tape = createTape(engine);
    tape.watch(x);
    const y = ops.recording(tape, () => scope(() => run(x)));
    const gradient = (await tape.backward(y, seed)).get(x)!;
    return { y: await engine.read(y), dx: await engine.read(gradient) };
  };
  const got = await pass((x) => ops.frozenLinear(x, frozen, {}, 'float32'));
  const whole = await pass((x) => ops.matmul(x, engine.readWeight(frozen, 0, rows), { transposeB: true }));
  expect(got.y).toEqual(whole.y);
  expect(got.dx.length).toBe(tokens * columns);
  got.dx.forEach((value, i) => expect(Math.abs(value - whole.dx[i]!)).toBeLessThan(1e-4));
}, 60_000);

test('no composition makes a frozen weight whole: linear layer, loss and embedding, forward and backward', async () => {
  const engine = createPlanningEngine({ precision: 'float32' });
  const ops = createOperations(engine);
  const [vocabulary, hidden] = [32_000, 1024];
  const frozen = { name: 'w', shape: [vocabulary, hidden], dtype: 'bfloat16', storage: undefined } as const;
  const x = engine.full([8, hidden], 0);
  const tape = createTape(engine);
  tape.watch(x);
  const total = ops.recording(tape, () =>
    scope(() => {
      const embedded = ops.add(x, ops.embedding(frozen, Int32Array.of(0, 1, 2, 3, 4, 5, 6, 31_999)));
      const y = ops.sumAll(ops.frozenLinear(embedded, frozen, {}, 'float32'));
      return ops.add(y, ops.sumAll(ops.tokenLosses(embedded, { weight: frozen, labels: new Int32Array(8) })));
    }),
  );
  await tape.backward(total);
  expect(engine.peakBytes).toBeLessThan((4 * vocabulary * hidden) / 8);
});
