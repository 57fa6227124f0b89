import type { Decoder } from '@glulam/model';
import { scope } from '@glulam/tensors';
import { labelBatch, type Example } from './batches.js';

/** Tokens that are scored at a time. */
export const evaluationTokens = 2048;

/** Mean negative log likelihood a trained token over examples, in batches of about `tokensPerBatch`. */
export async function meanLoss(
  decoder: Decoder,
  examples: readonly Example[],
  {
    signal,
    tokensPerBatch = evaluationTokens,
  }: { readonly signal?: AbortSignal; readonly tokensPerBatch?: number } = {},
): Promise<{ readonly loss: number; readonly tokens: number }> {
  let sum = 0;
  let tokens = 0;
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
  }
  return { loss: sum / tokens, tokens };
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
