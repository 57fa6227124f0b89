import { createContinuation, tokensPerPass, type ContinuationOptions, type EndReason } from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { createPreparedForms } from '../decoder/prepared-forms.js';
import { cacheOf, runSequences } from '../decoder/run-sequences.js';
import type { TokenIds } from '../text/token-ids.js';

/** How one sequence of tokens is generated. */
export interface GenerateOptions extends ContinuationOptions {
  /** Aborting throws the signal's reason before the next pass. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Generates one text after another and keeps the keys and values of the last: of a prompt that begins as the last one
 * and its answer did, only what is new is processed.
 */
export interface TokenSession {
  /** Token after token, until an end id, `maxNewTokens`, the model's last position, or the signal. One at a time. */
  generate(prompt: TokenIds, options: GenerateOptions): AsyncGenerator<number, EndReason>;
  /** Tokens whose keys and values are there. */
  readonly kept: number;
  /** Release what is kept. The decoder stays open. */
  close(): void;
}

/** A session with nothing cached yet. */
export function createTokenSession(decoder: Decoder): TokenSession {
  const cache = cacheOf(decoder);
  const forms = createPreparedForms();
  const sequence = cache.add(0);
  let seen: number[] = [];

  /** Run tokens that follow those in the cache; the logits behind the last. */
  const run = async (ids: TokenIds, signal: AbortSignal | undefined): Promise<Float32Array> => {
    for (let start = 0; ; start += tokensPerPass) {
      signal?.throwIfAborted();
      const part = ids.slice(start, start + tokensPerPass);
      const wanted = start + part.length === ids.length;
      const [logits] = await runSequences(decoder, { cache, forms }, [{ sequence, ids: part, wanted }], signal);
      seen.push(...part);
      if (logits !== undefined) return logits;
    }
  };

  return {
    async *generate(prompt, options) {
      const { signal } = options;
      const continuation = createContinuation(decoder, prompt, options);
      let alike = 0;
      while (alike < seen.length && seen[alike] === prompt[alike]) alike += 1;
      // The last token is processed again if all are there: its logits are wanted.
      alike = Math.min(alike, prompt.length - 1);
      cache.truncate(sequence, alike);
      seen = seen.slice(0, alike);
      for (let next: TokenIds = prompt.slice(alike); ;) {
        const { id, ended } = continuation.take(await run(next, signal));
        if (id !== undefined) yield id;
        if (ended !== undefined) return ended;
        next = [id!];
      }
    },
    get kept() {
      return seen.length;
    },
    close() {
      cache.close();
      forms.close();
    },
  };
}
