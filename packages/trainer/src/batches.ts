import { packTokens, type TokenBatch } from '@glulam/model';

/** One conversation or text as tokens; `trained[i]` says that token i is to be learnt. */
export interface Example {
  readonly ids: readonly number[];
  readonly trained: readonly boolean[];
}

/** A batch with, for each token, the token that follows it if that one is to be learnt, else -1. */
export interface LabelledBatch extends TokenBatch {
  readonly labels: Int32Array;
}

/** Lay examples end to end, without padding and without attention across them. */
export function labelBatch(examples: readonly Example[]): LabelledBatch {
  const batch = packTokens(examples.map(({ ids }) => ids));
  const labels = examples.flatMap(({ ids, trained }) =>
    ids.map((_, i) => (i + 1 < ids.length && trained[i + 1] ? ids[i + 1]! : -1)),
  );
  return { ...batch, labels: Int32Array.from(labels) };
}
