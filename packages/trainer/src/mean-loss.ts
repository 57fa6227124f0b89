import type { Decoder } from '@glulam/model';
import { scope } from '@glulam/tensors';
import { labelBatch, type Example } from './batches.js';

/** Tokens that are scored at a time. */
export const evaluationTokens = 2048;

/**
 * Mean negative log likelihood a trained token over examples, in batches of about `tokensPerBatch`. `error` is its standard
 * error with the examples as what was sampled: tokens of one text are no independent draws. 0 for a single example.
 */
export async function meanLoss(
  decoder: Decoder,
  examples: readonly Example[],
  {
    signal,
    tokensPerBatch = evaluationTokens,
  }: { readonly signal?: AbortSignal; readonly tokensPerBatch?: number } = {},
): Promise<{ readonly loss: number; readonly error: number; readonly tokens: number }> {
  let sum = 0;
  let tokens = 0;
  const parts: { sum: number; tokens: number }[] = [];
  for (const batch of inBatches(examples, tokensPerBatch)) {
    signal?.throwIfAborted();
    const { labels, ...rest } = labelBatch(batch);
    const hidden = await decoder.forward(rest);
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

function* inBatches(examples: readonly Example[], most: number): Generator<Example[]> {
  let batch: Example[] = [];
  let size = 0;
  for (const example of examples) {
    if (batch.length > 0 && size + example.ids.length > most) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(example);
    size += example.ids.length;
  }
  if (batch.length > 0) yield batch;
}
