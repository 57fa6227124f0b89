import { packTokens, type TokenBatch } from '@glulam/model';

/** One conversation or text as tokens; `trained[i]` is 1 where token i is to be learnt, else 0. */
export interface Example {
  /** Token ids, in order. */
  readonly ids: Int32Array;
  /** As many as `ids`. */
  readonly trained: Uint8Array;
}

/** A batch with, for each token, the token that follows it if that one is to be learnt, else -1. */
export interface LabelledBatch extends TokenBatch {
  /** As many as `ids`. */
  readonly labels: Int32Array;
}

/**
 * Lay examples end to end, without padding and without attention across them.
 *
 * @param shared for each example, how many of its first tokens are the one's before it and are not laid out again; none of
 *   these has a label
 */
export function labelBatch(examples: readonly Example[], shared: readonly number[] = []): LabelledBatch {
  const batch = packTokens(
    examples.map(({ ids }) => ids),
    shared,
  );
  const labels = new Int32Array(batch.ids.length).fill(-1);
  let start = 0;
  for (const [index, { ids, trained }] of examples.entries()) {
    const from = shared[index] ?? 0;
    for (let i = from + 1; i < ids.length; i++) if (trained[i] === 1) labels[start + i - from - 1] = ids[i]!;
    start += ids.length - from;
  }
  return { ...batch, labels };
}
