import { expect, it } from 'vitest';
import { pace } from './pace.js';

/** An engine whose pieces of work end when they are told to. */
function handDriven() {
  const ends: { done: () => void; fail: (error: Error) => void }[] = [];
  const drain = () => new Promise<void>((done, fail) => void ends.push({ done, fail }));
  return { engine: { drain }, ends };
}

it('waits for the piece before, not for the one just asked for', async () => {
  const { engine, ends } = handDriven();
  const pieceDone = pace(engine);
  await pieceDone();
  let reached = false;
  const second = pieceDone().then(() => (reached = true));
  await new Promise(setImmediate);
  expect(reached).toBe(false);
  ends[0]!.done();
  await second;
  expect(ends).toHaveLength(2);
});

it('tells at the next piece why one failed, and leaves no rejection unhandled where there is none', async () => {
  const { engine, ends } = handDriven();
  const pieceDone = pace(engine);
  await pieceDone();
  ends[0]!.fail(new Error('matmul: out of memory'));
  await expect(pieceDone()).rejects.toThrow('matmul: out of memory');
  ends[1]!.fail(new Error('not told'));
  // Vitest ends with an error where a rejection is unhandled.
  await new Promise(setImmediate);
});
