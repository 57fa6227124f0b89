import { setImmediate } from 'node:timers/promises';

/** As long as the event loop is blocked at most, but for a single piece of work, in milliseconds. */
const interval = 50;

/**
 * For loops over work that never waits: to be awaited after each piece. Timers and signals then get their turn, which they
 * otherwise have at the end of all.
 *
 * @throws the signal's reason once it is aborted
 */
export function eventLoopTurns(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  // The first call always takes a turn: what came before may have been long.
  let last = -Infinity;
  const turn = async (): Promise<void> => {
    await setImmediate();
    last = performance.now();
    signal?.throwIfAborted();
  };
  return () => (performance.now() - last < interval ? undefined : turn());
}
