import type { TextSpan } from './chat-template.js';
import type { EncodedSpans } from './encode-spans.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * Tokenizes a conversation of which parts are trained, as `apply_chat_template(..., return_assistant_tokens_mask=True)` of
 * transformers does: the ids are those of the whole text, and a token is trained if any of its characters is.
 *
 * transformers asks its tokenizer where a token stands. Here decoding gives the places. A tokenizer that does not give the
 * text back (it changes case or accents) is asked for the ids of what stands before and after each mark instead.
 */
export function encodeMarked(
  tokenizer: Pick<Tokenizer, 'encode' | 'stream'>,
  spans: readonly TextSpan[],
): EncodedSpans {
  const text = spans.map((span) => span.text).join('');
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  const ends = endsOf(tokenizer, ids, text);
  const find = ends === undefined ? findByIds(tokenizer, text, ids) : findByEnds(ends);
  const trained = ids.map(() => false);
  let end = 0;
  for (const span of spans) {
    const start = end;
    end += span.text.length;
    if (span.trained && end > start) trained.fill(true, find.first(start), find.behind(end));
  }
  return { ids, trained };
}

interface FindTokens {
  /** The token that has the character at a place of the text. */
  first(start: number): number;
  /** The token after the one that has the character before a place of the text. */
  behind(end: number): number;
}

function findByEnds(ends: readonly number[]): FindTokens {
  const count = (isBefore: (end: number, token: number) => boolean): number => {
    let low = 0;
    for (let high = ends.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (isBefore(ends[middle]!, middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const starts: number[] = [];
  ends.forEach((end, token) => starts.push(end === ends[token - 1] ? starts[token - 1]! : (ends[token - 1] ?? 0)));
  return {
    first: (start) => count((end) => end <= start),
    behind: (end) => count((_, token) => starts[token]! < end),
  };
}

/** Where each token's text ends; of tokens that are bytes of one character, all end with it. */
function endsOf(tokenizer: Pick<Tokenizer, 'stream'>, ids: readonly number[], text: string): number[] | undefined {
  const stream = tokenizer.stream({ skipSpecialTokens: false });
  const ends: number[] = [];
  let decoded = '';
  let complete = 0; // tokens whose text is there
  for (const id of ids) {
    const piece = stream.push(id);
    decoded += piece;
    ends.push(decoded.length);
    if (piece !== '') complete = ends.length;
  }
  decoded += stream.finish();
  if (decoded !== text) return undefined;
  ends.fill(decoded.length, complete);
  // A token that completes nothing ends where the next that does ends.
  for (let token = ids.length - 2; token >= 0; token--)
    if (ends[token] === (ends[token - 1] ?? 0)) ends[token] = ends[token + 1]!;
  return ends;
}

const beginnings = ['a', '.', '\uE000', '1'];

/** A place lies after the ids that the text before it has by itself, and before those that the text after it has. */
function findByIds(tokenizer: Pick<Tokenizer, 'encode'>, text: string, ids: readonly number[]): FindTokens {
  const equal = (others: readonly number[], at: (index: number, length: number) => number): number => {
    const most = Math.min(ids.length, others.length);
    let length = 0;
    while (length < most && ids[at(length, ids.length)] === others[at(length, others.length)]) length++;
    return length;
  };
  const encode = (part: string): number[] => tokenizer.encode(part, { addSpecialTokens: false });
  const before = (place: number): { readonly count: number; readonly isWhole: boolean } => {
    const own = encode(text.slice(0, place));
    const count = equal(own, (index) => index);
    return { count, isWhole: count === own.length };
  };
  const encodeAll = (place: number): number[] =>
    beginnings.map((next) => equal(encode(text.slice(0, place) + next), (index) => index));
  return {
    first(start) {
      const { count, isWhole } = before(start);
      if (isWhole && !/\s$/.test(text.slice(0, start))) return count;
      // Some normalizers strip white space at the end of a text, so something follows it here. At most one of these
      // continues as the text does, and is equal for longer than it should be.
      return Math.max(count, encodeAll(start).sort((a, b) => b - a)[1]!);
    },
    behind(end) {
      const { count, isWhole } = before(end);
      if (isWhole) return count;
      return Math.max(count, ids.length - equal(encode(text.slice(end)), (index, length) => length - 1 - index));
    },
  };
}
