import { expect, it, vi } from 'vitest';
import { pace } from './pace.js';

/** An engine whose waits end when they are told to. */
function handDriven() {
  const ends: { done: () => void; fail: (error: Error) => void }[] = [];
  const drain = () => new Promise<void>((done, fail) => void ends.push({ done, fail }));
  return { engine: { drain }, ends };
}

vi.useFakeTimers({ toFake: ['performance'] });

it('lets pieces follow each other that are asked for quickly', async () => {
  const { engine, ends } = handDriven();
  const pieces = pace(engine);
  for (let piece = 0; piece < 9; piece++) {
    vi.advanceTimersByTime(1);
    await pieces.next();
  }
  expect(ends).toHaveLength(0);
});

it.each([
  ['next', 10],
  ['end', 0],
] as const)('%s waits for what was asked for, after %i ms', async (wait, milliseconds) => {
  const { engine, ends } = handDriven();
  const pieces = pace(engine);
  vi.advanceTimersByTime(milliseconds);
  let reached = false;
  const waited = pieces[wait]().then(() => (reached = true));
  await new Promise(setImmediate);
  expect(reached).toBe(false);
  ends[0]!.done();
  await waited;
  expect(ends).toHaveLength(1);
});

it('counts the time from the end of a wait', async () => {
  const { engine, ends } = handDriven();
  const pieces = pace(engine);
  vi.advanceTimersByTime(10);
  const waited = pieces.next();
  vi.advanceTimersByTime(20);
  ends[0]!.done();
  await waited;
  await pieces.next();
  expect(ends).toHaveLength(1);
});

it('waits sooner where pieces take long', async () => {
  const { engine, ends } = handDriven();
  const pieces = pace(engine, 1);
  for (const [piece, milliseconds] of [40, 40, 100].entries()) {
    const waited = pieces.next();
    // Of 40 ms two, of 120 ms one at a time.
    if (piece === 1) await waited;
    const last = piece === 1 ? pieces.next() : waited;
    vi.advanceTimersByTime(milliseconds * (piece === 1 ? 6 : 1));
    ends.at(-1)!.done();
    await last;
    expect(ends).toHaveLength(piece + 1);
  }
});

it.each(['next', 'end'] as const)('%s tells why work failed', async (wait) => {
  const { engine, ends } = handDriven();
  const pieces = pace(engine);
  vi.advanceTimersByTime(10);
  const waited = pieces[wait]();
  ends[0]!.fail(new Error('matmul: out of memory'));
  await expect(waited).rejects.toThrow('matmul: out of memory');
});
