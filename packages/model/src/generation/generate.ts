import type { EndReason } from './continuation.js';
import type { Decoder } from '../decoder/decoder.js';
import { createTokenSession, type GenerateOptions, type TokenSession } from './token-session.js';
import type { Tokenizer } from '../text/tokenizer.js';
import type { TokenIds } from '../text/token-ids.js';

/** Token after token, until an end id, `maxNewTokens`, the model's last position, or the signal. */
export async function* generateTokens(
  decoder: Decoder,
  prompt: TokenIds,
  options: GenerateOptions,
): AsyncGenerator<number, EndReason> {
  const session = createTokenSession(decoder);
  try {
    return yield* session.generate(prompt, options);
  } finally {
    session.close();
  }
}

/** How one text is generated. */
export interface GenerateTextOptions extends GenerateOptions {
  /** Strings that end the text and are not part of it. */
  readonly stop?: readonly string[] | undefined;
}

/** The text that follows a prompt, in pieces as they become certain; ends before any of `stop`. */
export async function* generateText(
  decoder: Decoder,
  tokenizer: Tokenizer,
  prompt: TokenIds,
  options: GenerateTextOptions,
): AsyncGenerator<string, EndReason> {
  const session = createTokenSession(decoder);
  try {
    return yield* sessionText(session, tokenizer, prompt, options);
  } finally {
    session.close();
  }
}

/** The same, of a session. */
export async function* sessionText(
  session: TokenSession,
  tokenizer: Tokenizer,
  prompt: TokenIds,
  options: GenerateTextOptions,
): AsyncGenerator<string, EndReason> {
  const stream = tokenizer.stream({ stop: options.stop ?? [] });
  const tokens = session.generate(prompt, { ...options, endIds: options.endIds ?? tokenizer.eosIds });
  for (;;) {
    const { value, done } = await tokens.next();
    if (done === true) {
      const rest = stream.finish();
      if (rest !== '') yield rest;
      return value;
    }
    const piece = stream.push(value);
    if (piece !== '') yield piece;
    if (stream.stop !== undefined) return 'stop';
  }
}
