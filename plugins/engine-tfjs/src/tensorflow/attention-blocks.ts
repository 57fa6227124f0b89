import type { Segment } from '@glulam/tensors';

/** Rows of queries that are multiplied with the keys that any of them sees: a causal half needs no arithmetic. */
const blockRows = 128;

/** Queries [row, row + rows) of a segment, and its keys [key, key + keys): the first query stands at key + before. */
export interface Block {
  readonly row: number;
  readonly rows: number;
  readonly key: number;
  readonly keys: number;
  readonly before: number;
}

/** A segment's blocks; keys that no query of a block sees are left out. */
export function blocksOf({ queryLength, keyLength }: Segment, window: number): readonly Block[] {
  return Array.from({ length: Math.ceil(queryLength / blockRows) }, (_, i) => {
    const row = i * blockRows;
    const rows = Math.min(blockRows, queryLength - row);
    const position = keyLength - queryLength + row;
    const key = window === 0 ? 0 : Math.max(0, position - window + 1);
    return { row, rows, key, keys: position + rows - key, before: position - key };
  });
}

/** The mask of all blocks: what a query sees depends on its distance alone. A row a query and head of a group. */
export function hidden(before: number, rows: number, groups: number, window: number): Float32Array {
  const width = before + rows;
  const mask = new Float32Array(rows * groups * width);
  for (let i = 0; i < rows * groups; i++) {
    const own = before + Math.floor(i / groups);
    const row = mask.subarray(i * width, (i + 1) * width);
    row.fill(-1e30, own + 1);
    if (window > 0) row.fill(-1e30, 0, Math.max(0, own - window + 1));
  }
  return mask;
}
