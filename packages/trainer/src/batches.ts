import { packTokens, type TokenBatch } from '@glulam/model';

/** One conversation or text as tokens; `trained[i]` is 1 where token i is to be learnt, else 0. */
export interface Example {
  readonly ids: Int32Array;
  readonly trained: Uint8Array;
}

/** A batch with, for each token, the token that follows it if that one is to be learnt, else -1. */
export interface LabelledBatch extends TokenBatch {
  readonly labels: Int32Array;
}

/** Lay examples end to end, without padding and without attention across them. */
export function labelBatch(examples: readonly Example[]): LabelledBatch {
  const batch = packTokens(examples.map(({ ids }) => ids));
  const labels = new Int32Array(batch.ids.length).fill(-1);
  let start = 0;
  for (const { ids, trained } of examples) {
    for (let i = 1; i < ids.length; i++) if (trained[i] === 1) labels[start + i - 1] = ids[i]!;
    start += ids.length;
  }
  return { ...batch, labels };
}
