import { createEndlessShuffle } from './shuffle.js';

/** Examples that are drawn from; `weight` is given for all sources or for none. */
export interface DrawSource {
  readonly count: number;
  readonly weight: number | undefined;
}

export interface Draw {
  readonly source: number;
  /** Of the source, from 0. */
  readonly index: number;
}

/** Which example comes next, without end; the order follows from the seed, and the place in it is a number. */
export interface Draws {
  next(): Draw;
}

/** `from`: go on behind so many draws. */
export function createDraws(sources: readonly DrawSource[], seed: number, from: number): Draws {
  return sources.some(({ weight }) => weight !== undefined)
    ? drawByWeight(sources, seed, from)
    : drawTogether(sources, seed, from);
}

/** All examples of all sources in one shuffle: each source comes up by its size. */
function drawTogether(sources: readonly DrawSource[], seed: number, from: number): Draws {
  const ends: number[] = [];
  let total = 0;
  for (const { count } of sources) ends.push((total += count));
  const at = createEndlessShuffle(total, seed, 0);
  let drawn = from;
  return {
    next() {
      const index = at(drawn++);
      // The first source that ends behind it; there may be thousands.
      let [source, last] = [0, ends.length - 1];
      while (source < last) {
        const middle = (source + last) >> 1;
        if (ends[middle]! > index) last = middle;
        else source = middle + 1;
      }
      return { source, index: index - (source === 0 ? 0 : ends[source - 1]!) };
    },
  };
}

/**
 * Sources in proportion to their weights, each in a shuffle of its own. After any number of draws every source has come
 * up within one of its exact share: of the sources that are not ahead of theirs, the one whose next turn is due first is
 * drawn (the quota method: M. L. Balinski and H. P. Young, American Mathematical Monthly 82, 1975).
 */
function drawByWeight(sources: readonly DrawSource[], seed: number, from: number): Draws {
  const sum = sources.reduce((total, { weight }) => total + weight!, 0);
  const shares = sources.map(({ weight }) => weight! / sum);
  const counts = sources.map(() => 0);
  const at = sources.map(({ count }, source) => createEndlessShuffle(count, seed, source + 1));
  let drawn = 0;
  const choose = (): number => {
    drawn += 1;
    let source = -1;
    let due = Infinity;
    for (let i = 0; i < shares.length; i++) {
      if (counts[i]! >= shares[i]! * drawn) continue;
      const turn = (counts[i]! + 1) / shares[i]!;
      if (turn < due) [source, due] = [i, turn];
    }
    return source;
  };
  // Where a run goes on the turns are counted again, which takes a second for some ten million.
  while (drawn < from) counts[choose()]! += 1;
  return {
    next() {
      const source = choose();
      return { source, index: at[source]!(counts[source]!++) };
    },
  };
}
