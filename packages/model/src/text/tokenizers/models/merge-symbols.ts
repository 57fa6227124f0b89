/** Neighbours and the ids of their wholes, in the order of the merges. */
export interface Merges {
  readonly lefts: Int32Array;
  readonly rights: Int32Array;
  readonly wholes: Int32Array;
}

const FEW = 24;
const NONE = -1;
// A heap's key is rank and place in one number: up to 2^26 merges and 2^27 symbols.
const PLACES = 2 ** 27;

/**
 * Joins neighbours, the earliest merge first and of equal ones the leftmost, until none can be joined. Works on the
 * array that it is given. Of merges with equal neighbours the last counts.
 */
export function createMerger({ lefts, rights, wholes }: Merges): (ids: number[]) => number[] {
  // One hash table of whole numbers, from neighbours to the merge's rank.
  let capacity = 16;
  while (capacity < lefts.length * 2) capacity *= 2;
  const table = new Int32Array(capacity).fill(NONE);
  const slot = (left: number, right: number): number => {
    let at = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    at = (at ^ (at >>> 15)) & (capacity - 1);
    for (let rank = table[at]!; rank !== NONE; rank = table[at]!) {
      if (lefts[rank] === left && rights[rank] === right) break;
      at = (at + 1) & (capacity - 1);
    }
    return at;
  };
  for (let rank = 0; rank < lefts.length; rank++) table[slot(lefts[rank]!, rights[rank]!)] = rank;
  const rankOf = (left: number, right: number): number => table[slot(left, right)]!;
  return (ids) => (ids.length <= FEW ? mergeFew(ids, rankOf, wholes) : mergeMany(ids, rankOf, wholes));
}

type RankOf = (left: number, right: number) => number;

/** Looks for the best pair anew after each merge: most words are short. */
function mergeFew(ids: number[], rankOf: RankOf, wholes: Int32Array): number[] {
  const ranks: number[] = [];
  for (let at = 0; at + 1 < ids.length; at++) ranks.push(rankOf(ids[at]!, ids[at + 1]!));
  for (;;) {
    let best = NONE;
    for (let at = 0; at < ranks.length; at++)
      if (ranks[at]! !== NONE && (best === NONE || ranks[at]! < ranks[best]!)) best = at;
    if (best === NONE) return ids;
    ids.splice(best, 2, wholes[ranks[best]!]!);
    ranks.splice(best, 1);
    if (best > 0) ranks[best - 1] = rankOf(ids[best - 1]!, ids[best]!);
    if (best < ranks.length) ranks[best] = rankOf(ids[best]!, ids[best + 1]!);
  }
}

/** With a linked list of symbols and a heap of pairs: n log n, so that one endless word does not stop everything. */
function mergeMany(ids: number[], rankOf: RankOf, wholes: Int32Array): number[] {
  const count = ids.length;
  const next = Int32Array.from(ids, (_, at) => (at + 1 < count ? at + 1 : NONE));
  const previous = Int32Array.from(ids, (_, at) => at - 1);
  const joined = new Uint8Array(count); // symbols that are now a part of the one before
  const heap: number[] = [];
  const offer = (at: number, after: number): void => {
    const rank = rankOf(ids[at]!, ids[after]!);
    if (rank !== NONE) push(heap, rank * PLACES + at);
  };
  for (let at = 0; at + 1 < count; at++) offer(at, at + 1);
  for (let key = pop(heap); key !== undefined; key = pop(heap)) {
    const at = key % PLACES;
    const rank = (key - at) / PLACES;
    const after = joined[at] === 1 ? NONE : next[at]!;
    // The neighbours may have changed since.
    if (after === NONE || rankOf(ids[at]!, ids[after]!) !== rank) continue;
    ids[at] = wholes[rank]!;
    joined[after] = 1;
    const beyond = next[after]!;
    next[at] = beyond;
    if (beyond !== NONE) {
      previous[beyond] = at;
      offer(at, beyond);
    }
    if (previous[at] !== NONE) offer(previous[at]!, at);
  }
  return ids.filter((_, at) => joined[at] === 0);
}

function push(heap: number[], key: number): void {
  let at = heap.length;
  heap.push(key);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]! <= key) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = key;
}

function pop(heap: number[]): number | undefined {
  const top = heap[0];
  const key = heap.pop();
  if (top === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= key!) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = key!;
  return top;
}
