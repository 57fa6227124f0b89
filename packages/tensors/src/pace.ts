import type { Engine } from './engine.js';

/** Work that is asked of an engine in pieces, as a model's layers are. */
export interface Pace {
  /**
   * After each piece: waits for all that was asked for, where the last wait is 10 ms ago. So timers and signals get their
   * turn, on an engine that computes on this thread too, and what waits for an engine that does not stays small.
   */
  next(): Promise<void>;
  /** After the last piece, and what else was asked for: waits for all of it. */
  end(): Promise<void>;
}

/** As long as an event loop may well be blocked, and many times what waiting for an engine costs, in milliseconds. */
const interval = 10;

/** A pace on an engine; its first interval begins now. */
export function pace(engine: Pick<Engine, 'drain'>): Pace {
  let waited = performance.now();
  return {
    async next() {
      if (performance.now() - waited < interval) return;
      await engine.drain();
      waited = performance.now();
    },
    end: () => engine.drain(),
  };
}
