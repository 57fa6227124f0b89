import { ModelError } from './errors.js';
import type { Decoder } from './decoder.js';
import { createKeyValueCache } from './key-value-cache.js';
import { createSampler, type SamplingOptions } from './sampling.js';
import type { Tokenizer } from './tokenizer.js';

export interface GenerateOptions extends SamplingOptions {
  readonly maxNewTokens: number;
  /** Ids that end the text and are not part of it. */
  readonly endIds?: readonly number[];
  readonly signal?: AbortSignal;
}

/** Token after token, until an end id, `maxNewTokens`, or the signal. */
export async function* generateTokens(
  decoder: Decoder,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number, void> {
  const { maxNewTokens, endIds = [], signal } = options;
  const { engine, shape } = decoder;
  if (prompt.length === 0) throw new ModelError('GENERATION_INVALID', 'the prompt has no tokens; give it at least one');
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1) {
    throw new ModelError('GENERATION_INVALID', `maxNewTokens is ${maxNewTokens}; expected a whole number from 1`);
  }
  const sampler = createSampler(options);
  const capacity = prompt.length + maxNewTokens;
  const width = shape.keyValueHeads * shape.headSize;
  const cache = createKeyValueCache(engine, { layers: decoder.layers.length, sequences: 1, capacity, width });
  try {
    let next: readonly number[] = prompt;
    for (let count = 0; count < maxNewTokens; count++) {
      signal?.throwIfAborted();
      const seen = cache.lengths[0]!;
      const hidden = await decoder.forward(
        {
          ids: Int32Array.from(next),
          positions: Int32Array.from(next, (_, i) => seen + i),
          segments: [{ queryStart: 0, queryLength: next.length, keyStart: 0, keyLength: next.length }],
        },
        { cache },
      );
      const logits = decoder.logits(hidden, [next.length - 1]);
      hidden.release();
      const values = (await engine.read(logits)) as Float32Array;
      logits.release();
      const id = sampler.pick(values, prompt.length + count);
      if (endIds.includes(id)) return;
      yield id;
      next = [id];
    }
  } finally {
    cache.close();
  }
}

/** The text that follows a prompt, in pieces as they become certain; ends before any of `stop`. */
export async function* generateText(
  decoder: Decoder,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  options: GenerateOptions & { readonly stop?: readonly string[] },
): AsyncGenerator<string, void> {
  const stream = tokenizer.stream({ stop: options.stop ?? [] });
  for await (const id of generateTokens(decoder, prompt, { endIds: tokenizer.eosIds, ...options })) {
    const piece = stream.push(id);
    if (piece !== '') yield piece;
    if (stream.stop !== undefined) return;
  }
  const rest = stream.finish();
  if (rest !== '') yield rest;
}
