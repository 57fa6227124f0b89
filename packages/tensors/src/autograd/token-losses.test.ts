import { expect, test } from 'vitest';
import { createOperations, type Operations } from './operations.js';
import { normals } from '../contract/philox.js';
import { createPlanningEngine } from '../engines/planning/planning-engine.js';
import { createReferenceEngine } from '../engines/reference/reference-engine.js';
import { createTape } from './tape.js';
import { scope, type Tensor } from '../contract/tensor.js';

const [tokens, hidden, vocabulary] = [600, 3, 7];
const labels = Int32Array.from({ length: tokens }, (_, i) => (i % 5 === 0 ? -1 : (i * 3) % vocabulary));

/** Losses, and the gradients of a weighted sum of them. */
async function pass(ops: Operations, of: (x: Tensor, weight: Tensor) => Tensor) {
  const { engine } = ops;
  const x = engine.upload(normals(tokens * hidden, [1, 2, 3, 4]), [tokens, hidden]);
  const weight = engine.upload(normals(vocabulary * hidden, [5, 6, 7, 8]), [vocabulary, hidden]);
  const weights = engine.upload(normals(tokens, [9, 9, 9, 9]), [tokens]);
  const tape = createTape(engine);
  tape.watch(x);
  tape.watch(weight);
  const losses = scope(() => ops.recording(tape, () => of(x, weight)));
  const sum = scope(() => ops.recording(tape, () => ops.sumAll(ops.mul(losses, weights))));
  const gradients = await tape.backward(sum);
  const read = async (tensor: Tensor) => [...(await engine.read(tensor))];
  const result = [await read(losses), await read(gradients.get(x)!), await read(gradients.get(weight)!)];
  for (const tensor of [x, weight, weights, losses, sum, ...gradients.values()]) tensor.release();
  expect(engine.memory().tensors).toBe(0);
  return result;
}

test('losses and both gradients are those of the logits taken whole', async () => {
  const engine = createReferenceEngine();
  const ops = createOperations(engine);
  const got = await pass(ops, (x, weight) => ops.tokenLosses(x, { weight, labels }));
  const picks = labels.map((label, row) => row * vocabulary + Math.max(label, 0));
  const counted = Float32Array.from(labels, (label) => (label < 0 ? 0 : 1));
  const whole = await pass(ops, (x, weight) => {
    const logits = ops.matmul(x, weight, { transposeB: true });
    const chosen = ops.gather(ops.reshape(logits, [logits.size, 1]), engine.upload(picks, [tokens]));
    const losses = ops.sub(ops.log(ops.sum(ops.exp(logits), 1)), chosen);
    return ops.mul(ops.reshape(losses, [tokens]), engine.upload(counted, [tokens]));
  });
  got.forEach((values, i) => {
    expect(values).toHaveLength(whole[i]!.length);
    values.forEach((value, at) => expect(Math.abs(value - whole[i]![at]!)).toBeLessThan(1e-4));
  });
  expect(got[0]!.every((loss, row) => (labels[row]! < 0 ? loss === 0 : loss > 0))).toBe(true);
});

test('the logits never exist whole, forward or backward', async () => {
  const engine = createPlanningEngine({ precision: 'float32' });
  const ops = createOperations(engine);
  const [rows, width, many] = [4096, 8, 5000];
  const x = engine.full([rows, width], 0);
  const weight = engine.full([many, width], 0);
  const tape = createTape(engine);
  tape.watch(x);
  tape.watch(weight);
  const losses = scope(() => ops.recording(tape, () => ops.tokenLosses(x, { weight, labels: new Int32Array(rows) })));
  const sum = scope(() => ops.recording(tape, () => ops.sumAll(losses)));
  await tape.backward(sum);
  expect(engine.peakBytes).toBeLessThan((4 * rows * many) / 2);
});

test('refuses labels beyond the vocabulary, and too few of them', () => {
  const engine = createReferenceEngine();
  const ops = createOperations(engine);
  const [x, weight] = [engine.full([2, hidden], 0), engine.full([vocabulary, hidden], 0)];
  expect(() => ops.tokenLosses(x, { weight, labels: Int32Array.of(0, 7) })).toThrow(
    /token 7 at 1; the vocabulary has 7/,
  );
  expect(() => ops.tokenLosses(x, { weight, labels: Int32Array.of(0) })).toThrow(
    /1 labels; expected one for each of 2/,
  );
});
