import type { TextSpan } from './chat-template.js';
import type { EncodeOptions, Tokenizer } from './tokenizer.js';

/** Token ids, and for each whether the loss counts it. */
export interface EncodedSpans {
  /** Token ids of the whole text. */
  readonly ids: number[];
  /** As many as there are ids. */
  readonly trained: boolean[];
}

// A character that no vocabulary has merges for, to put before text from the middle of another: see `encodeMiddle`.
const SENTINEL = '\uE000';

/**
 * Tokenizes a text of which only parts are trained on.
 *
 * The ids are those of the whole text wherever its tokens end where the spans do. Where a token would reach over the
 * end of a span, first spaces at the end of an untrained span go over to the trained one behind it, as in EleutherAI's
 * lm-evaluation-harness (`Answer: ` + `yes` is `Answer:` + ` yes`: vocabularies join a word with the space before it).
 * If that does not help, the text is parted there: what stands before the boundary has the ids that it has on its own,
 * which is what the model is given when it generates, and the rest is tokenized as the middle of a text, without the
 * space that SentencePiece vocabularies put before a text.
 *
 * @param options `addSpecialTokens` (default true) as in `encode`: the tokens added in front are not trained, those added
 *   behind are if the last span is; those that the text has there already are not added again. Give false for text from
 *   a chat template, which writes them itself.
 */
export function encodeSpans(
  tokenizer: Pick<Tokenizer, 'encode'>,
  spans: readonly TextSpan[],
  options: EncodeOptions = {},
): EncodedSpans {
  const pieces = joinEqual(spans);
  const text = pieces.map((piece) => piece.text).join('');
  const ids: number[] = [];
  const trained: boolean[] = [];
  const push = (tokens: readonly number[], flag: boolean): void => {
    for (const id of tokens) {
      ids.push(id);
      trained.push(flag);
    }
  };

  // The text from `start` on is tokenized as one; `done` of its tokens, up to `at`, are pushed.
  let start = 0;
  let at = 0;
  let whole = encodeFrom(tokenizer, text, 0);
  let done = 0;
  const advance = (to: number, head: readonly number[], flag: boolean): void => {
    push(head.slice(done), flag);
    done = head.length;
    at = to;
  };

  let end = 0;
  pieces.forEach((piece, index) => {
    end += piece.text.length;
    if (index === pieces.length - 1) {
      push(whole.slice(done), piece.trained);
      return;
    }
    const head = encodeFrom(tokenizer, text.slice(0, end), start);
    if (startsWith(whole, head) && head.length >= done) return advance(end, head, piece.trained);
    const cut = at + text.slice(at, end).replace(/ +$/, '').length;
    if (!piece.trained && cut < end) {
      const trimmed = encodeFrom(tokenizer, text.slice(0, cut), start);
      if (startsWith(whole, trimmed) && trimmed.length >= done) return advance(cut, trimmed, false);
    }
    const own = startsWith(head, whole.slice(0, done))
      ? head.slice(done)
      : encodeFrom(tokenizer, text.slice(0, end), at);
    push(own, piece.trained);
    start = at = end;
    whole = encodeFrom(tokenizer, text, start);
    done = 0;
  });

  if (options.addSpecialTokens ?? true) addSpecial(tokenizer, ids, trained);
  return { ids, trained };
}

/** Neighbours of one flag as one, without empty ones. */
function joinEqual(spans: readonly TextSpan[]): TextSpan[] {
  const joined: TextSpan[] = [];
  for (const span of spans) {
    const last = joined.at(-1);
    if (span.text === '') continue;
    if (last?.trained === span.trained) joined[joined.length - 1] = { ...last, text: last.text + span.text };
    else joined.push(span);
  }
  return joined;
}

function encodeFrom(tokenizer: Pick<Tokenizer, 'encode'>, text: string, start: number): number[] {
  const rest = text.slice(start);
  return start === 0 ? tokenizer.encode(rest, { addSpecialTokens: false }) : encodeMiddle(tokenizer, rest);
}

/**
 * Tokenizes text as it would stand in the middle of another. SentencePiece vocabularies put a space before every text;
 * here it goes before a sentinel, whose tokens are then taken off. Should they not come out as they are alone, the text
 * is tokenized by itself.
 */
function encodeMiddle(tokenizer: Pick<Tokenizer, 'encode'>, text: string): number[] {
  const sentinel = tokenizer.encode(SENTINEL, { addSpecialTokens: false });
  const both = tokenizer.encode(SENTINEL + text, { addSpecialTokens: false });
  return sentinel.length > 0 && startsWith(both, sentinel)
    ? both.slice(sentinel.length)
    : tokenizer.encode(text, { addSpecialTokens: false });
}

function startsWith(ids: readonly number[], beginning: readonly number[]): boolean {
  return beginning.length <= ids.length && beginning.every((id, index) => id === ids[index]);
}

/** Puts around the ids what the tokenizer puts around every text, which a short one shows. */
function addSpecial(tokenizer: Pick<Tokenizer, 'encode'>, ids: number[], trained: boolean[]): void {
  const plain = tokenizer.encode('a', { addSpecialTokens: false });
  const full = tokenizer.encode('a');
  let front = 0;
  while (front + plain.length < full.length && !startsWith(full.slice(front), plain)) front++;
  const behind = full.slice(front + plain.length);
  const before = full.slice(0, front);
  const last = trained.at(-1) ?? false;
  // Text that was rendered for training often has them.
  if (startsWith(ids, before)) trained.fill(false, 0, front);
  else {
    ids.unshift(...before);
    trained.unshift(...before.map(() => false));
  }
  if (behind.length > 0 && startsWith(ids.slice(-behind.length), behind)) return;
  ids.push(...behind);
  trained.push(...behind.map(() => last));
}
