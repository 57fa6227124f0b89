import type { ContinuationOptions, EndReason } from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { createScheduler } from './scheduler.js';
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
  const scheduler = createScheduler(decoder);
  const kept = scheduler.keep(decoder);
  let text: number[] = [];

  return {
    async *generate(prompt, options) {
      const { signal } = options;
      let alike = 0;
      while (alike < kept.length && text[alike] === prompt[alike]) alike += 1;
      // The last token is processed again if all are there: its logits are wanted.
      kept.truncate(Math.max(0, Math.min(alike, prompt.length - 1)));
      const sequence = scheduler.join(decoder, prompt, options, { within: kept });
      text = [...prompt];
      try {
        for (;;) {
          signal?.throwIfAborted();
          const [token] = await scheduler.pass(signal);
          if (token === undefined) continue;
          const { id, ended, error } = token;
          if (error !== undefined) throw error;
          if (id !== undefined) {
            text.push(id);
            yield id;
          }
          if (ended !== undefined) return ended;
        }
      } finally {
        sequence.leave();
      }
    },
    get kept() {
      return kept.length;
    },
    close: () => scheduler.close(),
  };
}
