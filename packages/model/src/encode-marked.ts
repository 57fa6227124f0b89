import type { TextSpan } from './chat-template.js';
import { encodeSpans, type EncodedSpans } from './encode-spans.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * Tokenizes a text whose template marks the trained parts, as `apply_chat_template(..., return_assistant_tokens_mask=True)`
 * of transformers does: the ids are those of the whole text, and a token is trained if any of its characters is.
 *
 * Where decoding does not give the text back (a normalizer changed it), the places of tokens are not known, and the text
 * is parted at the marks as `encodeSpans` does.
 */
export function encodeMarked(
  tokenizer: Pick<Tokenizer, 'encode' | 'stream'>,
  spans: readonly TextSpan[],
): EncodedSpans {
  const text = spans.map((span) => span.text).join('');
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  const ends = endsOf(tokenizer, ids, text);
  if (ends === undefined) return encodeSpans(tokenizer, spans, { addSpecialTokens: false });

  const trained = ids.map(() => false);
  let at = 0; // the first token that may reach into the span
  let end = 0;
  for (const span of spans) {
    const start = end;
    end += span.text.length;
    while (at < ids.length && ends[at]! <= start) at++;
    if (!span.trained) continue;
    for (let token = at; token < ids.length && startOf(ends, token) < end; token++) trained[token] = true;
  }
  return { ids, trained };
}

/** Where each token's text ends; of tokens that are bytes of one character, all end with it. */
function endsOf(tokenizer: Pick<Tokenizer, 'stream'>, ids: readonly number[], text: string): number[] | undefined {
  const stream = tokenizer.stream({ skipSpecialTokens: false });
  const ends: number[] = [];
  let decoded = '';
  for (const id of ids) {
    decoded += stream.push(id);
    ends.push(decoded.length);
  }
  decoded += stream.finish();
  if (decoded !== text) return undefined;
  // A token that completes nothing ends where the next that does ends.
  for (let token = ids.length - 2; token >= 0; token--)
    if (ends[token] === (ends[token - 1] ?? 0)) ends[token] = ends[token + 1]!;
  return ends;
}

/** A byte's token begins where its character does. */
function startOf(ends: readonly number[], token: number): number {
  let before = token - 1;
  while (before >= 0 && ends[before] === ends[token]) before--;
  return before < 0 ? 0 : ends[before]!;
}
