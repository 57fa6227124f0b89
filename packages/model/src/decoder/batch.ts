import type { Segment } from '@glulam/tensors';
import type { TokenIds } from '../text/token-ids.js';

/**
 * Token rows laid end to end without padding: several sequences are several segments, and none sees another.
 * `ids` and `positions` have one element a token.
 */
export interface TokenBatch {
  /** Token ids, [tokens]. */
  readonly ids: Int32Array;
  /** Position of each token within its sequence, from 0. */
  readonly positions: Int32Array;
  /** Which tokens see which: one entry per sequence that has tokens, in order. */
  readonly segments: readonly Segment[];
  /**
   * The tokens whose keys and values segments tell of, in their order: one can be there for several segments. Default: the
   * tokens as they are. Not for passes with a cache.
   */
  readonly keyRows?: Int32Array;
  /**
   * How many tokens each segment's sequence has in all, which rotary embeddings of the kinds `longrope` and `dynamic` go by; see
   * `ropeEra`. Default: up to the segment's last token.
   */
  readonly lengths?: readonly number[];
}

/**
 * Sequences laid end to end as one batch. Empty ones add nothing.
 *
 * @param shared for each sequence, how many of its first tokens are those of the sequence before it and are not laid out
 *   again, fewer than it has; default: none
 */
export function packTokens(sequences: readonly TokenIds[], shared: readonly number[] = []): TokenBatch {
  const own = sequences.map((sequence, i) => sequence.length - (shared[i] ?? 0));
  const total = own.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(total);
  const positions = new Int32Array(total);
  const segments: Segment[] = [];
  const keyRows: number[] = [];
  let start = 0;
  let before: number[] = [];
  for (const [index, sequence] of sequences.entries()) {
    const { length } = sequence;
    if (length === 0) continue;
    const queryLength = own[index]!;
    const from = length - queryLength;
    ids.set(sequence.slice(from), start);
    for (let i = 0; i < queryLength; i++) positions[start + i] = from + i;
    segments.push({ queryStart: start, queryLength, keyStart: keyRows.length, keyLength: length });
    before = [...before.slice(0, from), ...Array.from({ length: queryLength }, (_, i) => start + i)];
    for (const row of before) keyRows.push(row);
    start += queryLength;
  }
  const batch = { ids, positions, segments };
  return keyRows.length === total ? batch : { ...batch, keyRows: Int32Array.from(keyRows) };
}
