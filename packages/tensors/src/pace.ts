import type { Engine } from './engine.js';

/** Work that is asked of an engine in pieces, as a model's layers are. */
export interface Pace {
  /**
   * After each piece. Waits for the piece before, not for this one, so the engine has work while the next is asked for,
   * and what waits for it stays small. On an engine that computes on this thread, timers and signals get their turn.
   */
  next(): Promise<void>;
  /** After the last piece, and what else was asked for: waits for the last piece. */
  end(): Promise<void>;
}

export function pace(engine: Pick<Engine, 'drain'>): Pace {
  let last: Promise<void> = Promise.resolve();
  return {
    async next() {
      const before = last;
      last = engine.drain();
      // What fails is told by the next wait; where another error ends the work first, that one is told.
      last.catch(() => undefined);
      await before;
    },
    end: () => last,
  };
}
