import type { Decoder, TokenBatch } from '@glulam/model';
import { scope, type Tensor } from '@glulam/tensors';
import type { Example } from '../step/batches.js';
import { scoringBatches, type ScoringBatchesOptions } from './scoring-batches.js';

/** Options of `scoreExamples`. */
export interface ScoreExamplesOptions extends ScoringBatchesOptions {
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How many of the examples are scored, batch by batch. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Hidden states of the batch with this index, after the last norm; default: the decoder's. */
  readonly forward?: ((batch: TokenBatch, index: number) => Promise<Tensor>) | undefined;
}

/** The log probability of each example, summed over its trained tokens. */
export async function scoreExamples(
  decoder: Decoder,
  examples: readonly Example[],
  {
    signal,
    onProgress,
    forward = (batch) => decoder.forward(batch, { signal }),
    ...batching
  }: ScoreExamplesOptions = {},
): Promise<number[]> {
  const logProbabilities: number[] = [];
  for (const [index, batch] of scoringBatches(examples, batching).entries()) {
    signal?.throwIfAborted();
    const { labels, own, ...rest } = batch;
    const hidden = await forward(rest, index);
    const losses = scope(() => decoder.losses(hidden, labels));
    hidden.release();
    const values = await decoder.engine.read(losses);
    losses.release();
    let at = 0;
    for (const length of own) {
      let sum = 0;
      for (const end = at + length; at < end; at++) sum -= values[at]!;
      logProbabilities.push(sum);
    }
    onProgress?.(logProbabilities.length, examples.length);
  }
  return logProbabilities;
}

/** The mean loss a trained token over examples, in batches of about `tokensPerBatch`. */
export const meanLoss = async (
  decoder: Decoder,
  examples: readonly Example[],
  options?: Pick<ScoreExamplesOptions, 'signal' | 'tokensPerBatch' | 'onProgress'>,
): Promise<ReturnType<typeof meanLossOf>> => meanLossOf(examples, await scoreExamples(decoder, examples, options));

/**
 * What the examples' log probabilities come to as a loss: the mean negative log likelihood a trained token. `error` is its
 * standard error with the examples as what was sampled: tokens of one text are no independent draws. 0 for a single example.
 */
export function meanLossOf(
  examples: readonly Example[],
  logProbabilities: readonly number[],
): { readonly loss: number; readonly error: number; readonly tokens: number } {
  const parts = examples.map(({ trained }, i) => {
    // The first token is predicted by nothing.
    return { sum: -logProbabilities[i]!, tokens: trained.reduce((count, each) => count + each, 0) - (trained[0] ?? 0) };
  });
  const tokens = parts.reduce((total, part) => total + part.tokens, 0);
  const loss = parts.reduce((total, part) => total + part.sum, 0) / tokens;
  // A ratio of two sums over examples, by its linear approximation.
  const squares = parts.reduce((total, part) => total + (part.sum - loss * part.tokens) ** 2, 0);
  const { length } = parts;
  const error = length < 2 ? 0 : Math.sqrt((squares * length) / (length - 1)) / tokens;
  return { loss, error, tokens };
}
