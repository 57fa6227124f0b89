import type { Decoder, TokenBatch } from '@glulam/model';
import { scope, type Tensor } from '@glulam/tensors';
import { labelBatch, type Example } from './batches.js';

/** Tokens that are scored at a time. */
export const evaluationTokens = 2048;

export interface MeanLossOptions {
  readonly signal?: AbortSignal | undefined;
  readonly tokensPerBatch?: number | undefined;
  /** Hidden states of the batch with this index, after the last norm; default: the decoder's. */
  readonly forward?: ((batch: TokenBatch, index: number) => Promise<Tensor>) | undefined;
}

/**
 * Mean negative log likelihood a trained token over examples, in batches of about `tokensPerBatch`. `error` is its standard
 * error with the examples as what was sampled: tokens of one text are no independent draws. 0 for a single example.
 */
export async function meanLoss(
  decoder: Decoder,
  examples: readonly Example[],
  { signal, tokensPerBatch, forward = (batch) => decoder.forward(batch) }: MeanLossOptions = {},
): Promise<{ readonly loss: number; readonly error: number; readonly tokens: number }> {
  let sum = 0;
  let tokens = 0;
  const parts: { sum: number; tokens: number }[] = [];
  for (const [index, batch] of lossBatches(examples, tokensPerBatch).entries()) {
    signal?.throwIfAborted();
    const { labels, ...rest } = labelBatch(batch);
    const hidden = await forward(rest, index);
    const losses = scope(() => decoder.losses(hidden, labels));
    hidden.release();
    const values = await decoder.engine.read(losses);
    losses.release();
    for (const value of values) sum += value;
    tokens += labels.filter((label) => label >= 0).length;
    let at = 0;
    for (const { ids } of batch) {
      const part = { sum: 0, tokens: 0 };
      for (const end = at + ids.length; at < end; at++) {
        part.sum += values[at]!;
        if (labels[at]! >= 0) part.tokens += 1;
      }
      parts.push(part);
    }
  }
  const loss = sum / tokens;
  // A ratio of two sums over examples, by its linear approximation.
  const squares = parts.reduce((total, part) => total + (part.sum - loss * part.tokens) ** 2, 0);
  const { length } = parts;
  const error = length < 2 ? 0 : Math.sqrt((squares * length) / (length - 1)) / tokens;
  return { loss, error, tokens };
}

/** The batches in which `meanLoss` scores examples. */
export function lossBatches(examples: readonly Example[], tokensPerBatch = evaluationTokens): Example[][] {
  const batches: Example[][] = [];
  let size = Infinity;
  for (const example of examples) {
    if (size + example.ids.length > tokensPerBatch) {
      batches.push([]);
      size = 0;
    }
    batches.at(-1)!.push(example);
    size += example.ids.length;
  }
  return batches;
}
