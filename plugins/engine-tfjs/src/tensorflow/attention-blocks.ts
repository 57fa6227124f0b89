import type { Segment } from '@glulam/tensors';
import type { TfTensor } from './binding.js';
import type { TfOperations } from './operations.js';

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

/** Parts at their rows; rows that no part covers are 0, what lies on one another is summed. */
export function assemble(
  ops: TfOperations,
  parts: readonly TfTensor[],
  starts: readonly number[],
  rows: number,
): TfTensor {
  if (parts.length === 1 && parts[0]!.shape[0] === rows) return parts[0]!;
  const all = ops.concatenate(parts, 0);
  const places = parts.flatMap((part, i) => Array.from({ length: part.shape[0]! }, (_, row) => starts[i]! + row));
  if (places.length === rows && places.every((place, row) => place === row)) return all;
  const [indices, count] = [ops.ints(Int32Array.from(places), [places.length]), ops.integer(rows)];
  return ops.run('UnsortedSegmentSum', [all, indices, count]);
}
