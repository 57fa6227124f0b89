import { philox } from '@glulam/tensors';

/** What the numbers are for, among all draws from a run's seed. */
const use = 0x64617461;

/**
 * The numbers 0 to count - 1 in an order that follows from the key alone (Fisher and Yates). Each draw takes 32 bits: of
 * ten million examples none is a 400th likelier than another to come somewhere.
 */
export function shuffled(count: number, seed: number, epoch: number, stream: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let words: readonly number[] = [];
  for (let i = count - 1, block = -1; i > 0; i--) {
    const needed = Math.floor(i / 4);
    if (needed !== block) {
      block = needed;
      words = philox([block, 0, epoch, stream], [seed, use]);
    }
    const j = Math.floor((words[i % 4]! / 2 ** 32) * (i + 1));
    const value = order[i]!;
    order[i] = order[j]!;
    order[j] = value;
  }
  return order;
}

/** The numbers 0 to count - 1 over and over, in another order each time; any position is reached at once. */
export function createEndlessShuffle(count: number, seed: number, stream: number): (position: number) => number {
  let epoch = -1;
  let order: Uint32Array = new Uint32Array();
  return (position) => {
    const wanted = Math.floor(position / count);
    if (wanted !== epoch) {
      epoch = wanted;
      order = shuffled(count, seed, epoch, stream);
    }
    return order[position % count]!;
  };
}
