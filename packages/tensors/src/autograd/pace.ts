import type { Engine } from '../contract/engine.js';

/** Work that is asked of an engine in pieces, as a model's layers are. */
export interface Pace {
  /**
   * After each piece: waits for all that was asked for, where the last wait is 10 ms ago or the pieces since then take
   * about 100 ms. So timers and signals get their turn, on an engine that computes on this thread too, and what waits for
   * an engine that does not stays small.
   */
  next(): Promise<void>;
  /** After the last piece, and what else was asked for: waits for all of it. */
  end(): Promise<void>;
}

/** As long as an event loop may well be blocked, and many times what waiting for an engine costs, in milliseconds. */
const interval = 10;

/** As long as the work of several pieces may take, in milliseconds: nothing stops what an engine was asked for. */
const longest = 100;

/**
 * A pace on an engine; its first interval begins now.
 *
 * @param first pieces before the first wait at most; a piece that may take long is best measured by itself
 */
export function pace(engine: Pick<Engine, 'drain'>, first = Infinity): Pace {
  let waited = performance.now();
  let allowed = first;
  let pieces = 0;
  return {
    async next() {
      pieces += 1;
      if (pieces < allowed && performance.now() - waited < interval) return;
      await engine.drain();
      const now = performance.now();
      allowed = Math.max(1, Math.floor((longest * pieces) / (now - waited)));
      waited = now;
      pieces = 0;
    },
    end: () => engine.drain(),
  };
}
