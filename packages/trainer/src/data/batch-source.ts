import type { Draw, Draws } from './draws.js';

/** Batches one after another, without end. */
export interface Batches<Item> {
  /** Examples drawn so far: the data position that a checkpoint keeps. */
  readonly drawn: number;
  next(): readonly Item[];
}

/**
 * Batches of so many examples, or of as many as come to so many tokens at most (next fit: a batch ends before the first
 * example that does not fit in; one that is longer than the budget is a batch by itself). `from` examples were drawn
 * before.
 */
export function createBatches<Item>(
  draws: Draws,
  from: number,
  size: number | { readonly tokens: number },
  lengthOf: (draw: Draw) => number,
  open: (draw: Draw) => Item,
): Batches<Item> {
  let drawn = from;
  // Looked at and not drawn: it begins the next batch, here as after a resumption.
  let ahead: Draw | undefined;
  const take = (): Draw => {
    const draw = ahead ?? draws.next();
    ahead = undefined;
    drawn += 1;
    return draw;
  };
  return {
    get drawn() {
      return drawn;
    },
    next() {
      if (typeof size === 'number') return Array.from({ length: size }, () => open(take()));
      const batch: Item[] = [];
      for (let tokens = 0; ;) {
        ahead ??= draws.next();
        tokens += lengthOf(ahead);
        if (batch.length > 0 && tokens > size.tokens) return batch;
        batch.push(open(take()));
      }
    },
  };
}
