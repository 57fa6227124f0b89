import { configError } from '../config/choices.js';
import { shuffled } from './shuffle.js';
import type { TokenStore } from './store/token-store.js';

/** Stream of the draw that sets rows apart; training sources use those from 0. */
const heldOutStream = 0xffffffff;

/**
 * Parts the examples of training files by row, an entry a store: `wanted` is a share of all rows that gave examples, or a number of them.
 * The rows follow from the seed and the data.
 *
 * @throws TrainerError CONFIG_INVALID where nothing would be left on one side
 */
export function splitHeldOut(
  stores: readonly TokenStore[],
  wanted: number,
  seed: number,
): { readonly train: Uint32Array; readonly heldOut: Uint32Array }[] {
  // Rows of all stores in one count; `rowOf[s][i]` is the row of example i of store s.
  let rows = 0;
  const rowOf = stores.map((store) => {
    const all = new Uint32Array(store.count);
    for (let i = 0; i < store.count; i++) {
      if (i === 0 || store.row(i) !== store.row(i - 1)) rows += 1;
      all[i] = rows - 1;
    }
    return all;
  });
  const count = wanted < 1 ? Math.round(rows * wanted) : wanted;
  if (count === 0 || count >= rows) {
    const what = wanted < 1 ? `a share of ${wanted} is ${count}` : `${wanted}`;
    throw configError([
      `data.heldOut: ${what} of the ${rows} rows of data.train; expected at least 1, and at least 1 left to train on`,
    ]);
  }
  const apart = new Uint8Array(rows);
  for (const row of shuffled(rows, seed, 0, heldOutStream).subarray(0, count)) apart[row] = 1;
  return rowOf.map((all) => ({
    train: indicesWhere(all, (row) => apart[row] === 0),
    heldOut: indicesWhere(all, (row) => apart[row] === 1),
  }));
}

function indicesWhere(values: Uint32Array, holds: (value: number) => boolean): Uint32Array {
  const found = new Uint32Array(values.length);
  let count = 0;
  values.forEach((value, i) => {
    if (holds(value)) found[count++] = i;
  });
  return found.slice(0, count);
}
