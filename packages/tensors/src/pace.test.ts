import { expect, it } from 'vitest';
import { pace } from './pace.js';

/** An engine whose pieces of work end when they are told to. */
function handDriven() {
  const ends: { done: () => void; fail: (error: Error) => void }[] = [];
  const drain = () => new Promise<void>((done, fail) => void ends.push({ done, fail }));
  return { engine: { drain }, ends };
}

it.each([
  ['next', 'the piece before, not for the one just asked for', 2],
  ['end', 'the last piece', 1],
] as const)('%s waits for %s', async (wait, _, asked) => {
  const { engine, ends } = handDriven();
  const pieces = pace(engine);
  await pieces.next();
  let reached = false;
  const waited = pieces[wait]().then(() => (reached = true));
  await new Promise(setImmediate);
  expect(reached).toBe(false);
  ends[0]!.done();
  await waited;
  expect(ends).toHaveLength(asked);
});

it('tells at the next piece, or at the end, why one failed', async () => {
  const { engine, ends } = handDriven();
  const pieces = pace(engine);
  await pieces.next();
  ends[0]!.fail(new Error('matmul: out of memory'));
  await expect(pieces.next()).rejects.toThrow('matmul: out of memory');
  ends[1]!.fail(new Error('gather: index out of range'));
  await expect(pieces.end()).rejects.toThrow('gather: index out of range');
});

it('leaves no rejection unhandled where another error ends the work first', async () => {
  const { engine, ends } = handDriven();
  await pace(engine).next();
  ends[0]!.fail(new Error('not told'));
  // Vitest ends with an error where a rejection is unhandled.
  await new Promise(setImmediate);
});
