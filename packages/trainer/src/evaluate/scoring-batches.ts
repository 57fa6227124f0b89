import { labelBatch, type Example, type LabelledBatch } from '../step/batches.js';

/** Tokens that are scored at a time. */
export const evaluationTokens = 2048;

/** Keys for one token of a batch: with many short answers to a long question they would be without bound. */
const keysPerToken = 4;

/** Examples that are scored together. */
export interface ScoringBatch extends LabelledBatch {
  /** For each example, how many of the batch's tokens are its own; they come in the examples' order. */
  readonly own: readonly number[];
}

/** Options of `scoringBatches`. */
export interface ScoringBatchesOptions {
  /** Default: 2048, as many as a plan allows for. */
  readonly tokensPerBatch?: number | undefined;
  /**
   * Where half of an example or more is how the one before it begins, and nothing is learnt there, that beginning is
   * computed once: answers to the same question, questions behind the same worked examples. Batches take more memory for
   * keys and values then. Default: false.
   */
  readonly shareBeginnings?: boolean | undefined;
}

/** The batches in which `scoreExamples` takes examples. */
export function scoringBatches(
  examples: readonly Example[],
  { tokensPerBatch = evaluationTokens, shareBeginnings = false }: ScoringBatchesOptions = {},
): ScoringBatch[] {
  const batches: { readonly examples: Example[]; readonly shared: number[] }[] = [];
  let tokens = Infinity;
  let keys = 0;
  for (const example of examples) {
    const { length } = example.ids;
    const before = batches.at(-1)?.examples.at(-1);
    let shared = before === undefined || !shareBeginnings ? 0 : sharedBeginning(before, example);
    if (tokens + length - shared > tokensPerBatch || keys + length > keysPerToken * tokensPerBatch) {
      batches.push({ examples: [], shared: [] });
      tokens = keys = shared = 0;
    }
    const batch = batches.at(-1)!;
    batch.examples.push(example);
    batch.shared.push(shared);
    tokens += length - shared;
    keys += length;
  }
  return batches.map((batch) => ({
    ...labelBatch(batch.examples, batch.shared),
    own: batch.examples.map(({ ids }, i) => ids.length - batch.shared[i]!),
  }));
}

function sharedBeginning(one: Example, other: Example): number {
  // A token whose next one counts is of its own: it says how likely that is.
  const most = Math.min(...[one, other].map(({ ids, trained }) => (firstLearnt(trained) ?? ids.length) - 1));
  let common = 0;
  while (common < most && one.ids[common] === other.ids[common]) common += 1;
  return 2 * common >= other.ids.length ? common : 0;
}

/** The first token is predicted by nothing. */
function firstLearnt(trained: Uint8Array): number | undefined {
  const at = trained.indexOf(1, 1);
  return at < 0 ? undefined : at;
}
