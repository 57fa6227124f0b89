import type { ChatMessage } from '../text/chat-template.js';
import type { EndReason } from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { endingTurns } from '../text/end-of-turn.js';
import { ModelError } from '../errors.js';
import { sessionText, type GenerateTextOptions } from './generate.js';
import { createTokenSession } from './token-session.js';
import type { Tokenizer } from '../text/tokenizer.js';

/** Turns of a user and a model, by the tokenizer's chat template. Of each turn only what is new is processed. */
export interface Conversation {
  /** All turns, after the system's message where there is one. */
  readonly messages: readonly ChatMessage[];
  /**
   * The answer to a message, in pieces as they become certain; it ends where the template ends a turn. An answer that is cut off, by the signal or by whoever
   * reads it, is kept as far as it came; a message without any answer is forgotten.
   *
   * @throws ModelError GENERATION_INVALID if the turns have more tokens than the model has positions,
   *   CHAT_TEMPLATE_FAILED
   */
  answer(message: string, options: GenerateTextOptions): AsyncGenerator<string, EndReason>;
  /** Forget all turns, and set the system's message; undefined: there is none. */
  begin(system: string | undefined): void;
  /** Go on with another decoder of the same base, such as one with another adapter; the turns stay. */
  use(decoder: Decoder): void;
  /** Release the cached keys and values. The decoder stays open. */
  close(): void;
}

/**
 * A conversation without messages.
 *
 * @throws ModelError CHAT_TEMPLATE_FAILED if the tokenizer has no chat template
 */
export function createConversation(decoder: Decoder, tokenizer: Tokenizer): Conversation {
  const template = tokenizer.chatTemplate;
  if (template === undefined) {
    throw new ModelError(
      'CHAT_TEMPLATE_FAILED',
      `${decoder.checkpoint.folder} has no chat template, which says how turns are written; give one, or choose "plain"`,
    );
  }
  let { maxPositions } = decoder.spec;
  let session = createTokenSession(decoder);
  let messages: ChatMessage[] = [];

  return {
    get messages() {
      return messages;
    },
    async *answer(message, options) {
      const asked = [...messages, { role: 'user', content: message }];
      const prompt = tokenizer.encode(template.render(asked, { addGenerationPrompt: true }), {
        addSpecialTokens: false,
      });
      if (prompt.length >= maxPositions) {
        throw new ModelError(
          'GENERATION_INVALID',
          `with this message the conversation has ${prompt.length} tokens; the model has ${maxPositions} positions, answer included: say less, or begin a new one`,
        );
      }
      let text = '';
      try {
        const pieces = sessionText(session, tokenizer, prompt, endingTurns(tokenizer, options));
        for (;;) {
          const { value, done } = await pieces.next();
          if (done === true) return value;
          text += value;
          yield value;
        }
      } finally {
        if (text !== '') messages = [...asked, { role: 'assistant', content: text }];
      }
    },
    begin(system) {
      messages = system === undefined ? [] : [{ role: 'system', content: system }];
    },
    use(other) {
      session.close();
      session = createTokenSession(other);
      ({ maxPositions } = other.spec);
    },
    close: () => session.close(),
  };
}
