import type { Engine } from './engine.js';

/**
 * For work that is asked of an engine in pieces, as a model's layers are: call the result after each piece and await it.
 * It waits for the piece before, not for this one, so the engine has work while the next piece is asked for, and what
 * waits for it stays small. On an engine that computes on this thread, it is where timers and signals get their turn.
 */
export function pace(engine: Pick<Engine, 'drain'>): () => Promise<void> {
  let before: Promise<void> = Promise.resolve();
  return async () => {
    const piece = engine.drain();
    // An engine that failed keeps failing: the next wait, or whatever is asked of it next, tells the same.
    piece.catch(() => undefined);
    const waited = before;
    before = piece;
    await waited;
  };
}
