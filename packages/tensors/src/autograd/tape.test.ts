import { describe, expect, test } from 'vitest';
import { createOperations } from './operations.js';
import { createReferenceEngine } from '../engines/reference/reference-engine.js';
import { createTape } from './tape.js';
import { scope } from '../contract/tensor.js';

/** y = the sum of (2 x + 1)^2, whose backward reads 2 x + 1 twice over. */
function sumOfSquares(derives: boolean) {
  const engine = createReferenceEngine();
  const ops = createOperations(engine);
  const tape = createTape(engine);
  const x = engine.upload(Float32Array.of(0, 0.5, -1), [3]);
  tape.watch(x);
  let computed = 0;
  const { middle, y } = ops.recording(tape, () =>
    scope(() => {
      const middle = ops.affine(x, 2, 1);
      if (derives) {
        tape.derive(middle, [x], ([source]) => {
          computed++;
          return engine.affine(source!, 2, 1);
        });
      }
      return { middle, y: ops.sumAll(ops.mul(middle, middle)) };
    }),
  );
  middle.release();
  return { engine, tape, x, middle, y, computed: () => computed };
}

describe('a derived tensor', () => {
  test('is freed, and computed once again for the backward that reads it', async () => {
    const plain = sumOfSquares(false);
    const derived = sumOfSquares(true);
    expect([plain.middle.disposed, derived.middle.disposed]).toEqual([false, true]);
    for (const { engine, tape, x, y } of [plain, derived]) {
      const gradient = (await tape.backward(y)).get(x)!;
      // d (2 x + 1)^2 = 4 (2 x + 1)
      expect([...(await engine.read(gradient))]).toEqual([4, 8, -4]);
    }
    expect(derived.computed()).toBe(1);
  });

  test.each(['backward', 'discard'] as const)('leaves nothing alive after %s', async (end) => {
    const { engine, tape, x, y } = sumOfSquares(true);
    if (end === 'discard') tape.discard();
    else (await tape.backward(y)).get(x)!.release();
    y.release();
    x.release();
    expect(engine.memory().tensors).toBe(0);
  });
});

describe('a leaf that is touched', () => {
  test('has zeros where no gradient comes to it, and its gradient where one does', async () => {
    const engine = createReferenceEngine();
    const ops = createOperations(engine);
    const tape = createTape(engine);
    const [used, cut, unwatched, unused] = [1, 2, 3, 4].map((value) =>
      engine.upload(Float32Array.of(value, value), [2]),
    );
    for (const leaf of [used!, cut!, unused!]) tape.watch(leaf);
    for (const leaf of [used!, cut!, unwatched!]) tape.touch(leaf);
    const y = ops.recording(tape, () => scope(() => ops.sumAll(ops.affine(used!, 3, 0))));
    const gradients = await tape.backward(y);
    expect([...gradients.keys()]).toEqual([used, cut]);
    expect([...(await engine.read(gradients.get(used!)!))]).toEqual([3, 3]);
    expect([...(await engine.read(gradients.get(cut!)!))]).toEqual([0, 0]);
    for (const tensor of [y, used!, cut!, unwatched!, unused!, ...gradients.values()]) tensor.release();
    expect(engine.memory().tensors).toBe(0);
  });
});
