import { stopAfter, underOneLimit } from '@glulam/model';
import type { SkippedRow } from '../data-format.js';
import type { FilledText } from '../read-row.js';
import type { EncodedRow } from './encoded-row.js';

/** Rows on their way to a worker: plain records. */
export type RowBatch = readonly (FilledText | SkippedRow)[];

/** What comes back: all examples end to end in arrays that are handed over, not copied. */
export interface EncodedBatch {
  readonly ids: Int32Array<ArrayBuffer>;
  /** One a token, as in `Example`. */
  readonly trained: Uint8Array<ArrayBuffer>;
  /** Pairs, one an example: how many tokens it has, and the index of its row in the batch. */
  readonly examples: Uint32Array<ArrayBuffer>;
  /** Rows that gave no example, by index. */
  readonly skipped: readonly (readonly [row: number, reason: string])[];
  /** One a row and note. */
  readonly notes: readonly string[];
}

type Encode = (text: FilledText) => EncodedRow;

/** Encode rows one after another. */
export function encodeBatch(encode: Encode, rows: RowBatch): EncodedBatch {
  const encodeAll = (): readonly EncodedRow[] => rows.map((row) => ('skip' in row ? row : encode(row)));
  return joinRows(rows.length === 1 ? encodeAll() : underOneLimit(encodeAll));
}

/** How long a row may keep this thread from timers and signals, in milliseconds. */
const longestRow = 300;

/**
 * The same, where timers and signals of this thread get their turn between rows.
 *
 * @returns undefined if a row takes so long that the batch should go to a worker
 */
export async function encodeInTurns(
  encode: Encode,
  rows: RowBatch,
  next: () => Promise<void> | undefined,
): Promise<EncodedBatch | undefined> {
  const encoded: EncodedRow[] = [];
  for (const row of rows) {
    const result = stopAfter(longestRow, () => ('skip' in row ? row : encode(row)));
    if (result.stopped) return undefined;
    encoded.push(result.value);
    await next();
  }
  return joinRows(encoded);
}

function joinRows(encoded: readonly EncodedRow[]): EncodedBatch {
  const all = encoded.flatMap((row) => ('skip' in row ? [] : row.examples));
  const size = all.reduce((sum, { ids }) => sum + ids.length, 0);
  const ids = new Int32Array(size);
  const trained = new Uint8Array(size);
  let at = 0;
  for (const example of all) {
    ids.set(example.ids, at);
    trained.set(example.trained, at);
    at += example.ids.length;
  }
  return {
    ids,
    trained,
    examples: Uint32Array.from(
      encoded.flatMap((row, index) => ('skip' in row ? [] : row.examples.flatMap((each) => [each.ids.length, index]))),
    ),
    skipped: encoded.flatMap((row, index) => ('skip' in row ? [[index, row.skip] as const] : [])),
    notes: encoded.flatMap((row) => ('skip' in row ? [] : row.notes)),
  };
}
