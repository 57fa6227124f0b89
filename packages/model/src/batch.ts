import type { Segment } from '@glulam/tensors';

/**
 * Token rows laid end to end without padding: several sequences are several segments, and none sees another.
 * All arrays have one element a token.
 */
export interface TokenBatch {
  readonly ids: Int32Array;
  /** Position of each token within its sequence, from 0. */
  readonly positions: Int32Array;
  readonly segments: readonly Segment[];
}

export function packTokens(sequences: readonly (readonly number[] | Int32Array)[]): TokenBatch {
  const total = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  const ids = new Int32Array(total);
  const positions = new Int32Array(total);
  const segments: Segment[] = [];
  let start = 0;
  for (const sequence of sequences) {
    if (sequence.length === 0) continue;
    ids.set(sequence, start);
    for (let i = 0; i < sequence.length; i++) positions[start + i] = i;
    segments.push({ queryStart: start, queryLength: sequence.length, keyStart: start, keyLength: sequence.length });
    start += sequence.length;
  }
  return { ids, positions, segments };
}
