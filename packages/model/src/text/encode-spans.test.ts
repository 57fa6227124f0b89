import type { LearntText } from './learnt-turns.js';
import fc from 'fast-check';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { encodeSpans } from './encode-spans.js';
import { openTokenizer } from './tokenizer.js';

const folder = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const mistral = openTokenizer(folder('fixtures/tokenizers/mistral-7b-v0.1'));
const tiny = openTokenizer(folder('examples/models/tiny-mistral-gsm8k'));
const both = Object.entries({ mistral, tiny });

const answer = (prompt: string, text: string): { text: string; trained: boolean }[] => [
  { text: prompt, trained: false },
  { text, trained: true },
];

describe.each(both)('%s', (_, tokenizer) => {
  const plain = (text: string): number[] => tokenizer.encode(text, { addSpecialTokens: false });

  it('masks the question and trains on the answer and its end', () => {
    const prompt = 'Question: Tom has 3 apples and buys 4 more. How many?\nAnswer:';
    const text = ' He has 3+4=7 apples.\n#### 7</s>';
    const { ids, trained } = encodeSpans(tokenizer, answer(prompt, text));
    expect(ids).toEqual(tokenizer.encode(prompt + text));
    expect(ids.at(-1)).toBe(2);
    const start = tokenizer.encode(prompt).length;
    expect(trained).toEqual(ids.map((_, index) => index >= start));
    expect(tokenizer.decode(ids.slice(0, start))).toBe(prompt);
  });

  it('joins a space at the end of the question with the answer', () => {
    const { ids, trained } = encodeSpans(tokenizer, answer('The answer: ', 'the apples'));
    expect(ids).toEqual(tokenizer.encode('The answer: the apples'));
    expect(trained.indexOf(true)).toBe(tokenizer.encode('The answer:').length);
    const marked = tokenizer.decode([...plain('a'), ...ids.filter((_, index) => trained[index])]);
    expect(marked).toBe('a the apples');
  });

  it('parts the text where a token would reach over the boundary, without a space that is not there', () => {
    const prompt = 'how many appl';
    const { ids, trained } = encodeSpans(tokenizer, answer(prompt, 'es and more</s>'));
    const start = tokenizer.encode(prompt).length;
    expect(ids.slice(0, start)).toEqual(tokenizer.encode(prompt));
    expect(ids).not.toEqual(tokenizer.encode(`${prompt}es and more</s>`)); // else the case shows nothing
    expect(tokenizer.decode(ids)).toBe('how many apples and more');
    expect(trained).toEqual(ids.map((_, index) => index >= start));
  });

  it('marks every turn of a conversation', () => {
    const [{ spans }] = tokenizer.chatTemplate!.renderLearnt([
      { role: 'user', content: 'How many apples?' },
      { role: 'assistant', content: 'Seven apples.' },
      { role: 'user', content: 'And now?' },
      { role: 'assistant', content: 'Eight.' },
    ]) as [LearntText];
    const { ids, trained } = encodeSpans(tokenizer, spans, { addSpecialTokens: false });
    expect(ids).toEqual(plain(spans.map((span) => span.text).join('')));
    const runs: number[][] = [];
    ids.forEach((id, index) => {
      if (!trained[index]) return;
      if (trained[index - 1]) runs.at(-1)!.push(id);
      else runs.push([id]);
    });
    const show = (tokens: number[]): string => tokenizer.decode(tokens, { skipSpecialTokens: false });
    expect(runs.map(show)).toEqual(['Seven apples.</s>', 'Eight.</s>']);
  });

  it('keeps the text, and the ids of the untrained beginning, for any spans', () => {
    const part = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 5 }),
      fc.constantFrom('the', ' ', '  ', '\n', 'ing', ' app', 'les', '12', 'é', '🙂'),
    );
    const spans = fc.array(fc.record({ text: part, trained: fc.boolean() }), { maxLength: 8 });
    fc.assert(
      fc.property(spans, (pieces) => {
        const text = pieces.map((piece) => piece.text).join('');
        const { ids, trained } = encodeSpans(tokenizer, pieces);
        expect(tokenizer.decode(ids)).toBe(tokenizer.decode(tokenizer.encode(text)));
        expect(trained).toHaveLength(ids.length);
        const first = pieces.findIndex((piece) => piece.trained && piece.text !== '');
        const prompt = pieces
          .slice(0, first < 0 ? pieces.length : first)
          .map((piece) => piece.text)
          .join('');
        const untrained = ids.slice(0, trained.includes(true) ? trained.indexOf(true) : ids.length);
        const exact = tokenizer.encode(prompt);
        const trimmed = tokenizer.encode(prompt.replace(/ +$/, ''));
        expect([exact, trimmed]).toContainEqual(untrained);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('puts the tokenizer’s own tokens in front, untrained', () => {
    expect(encodeSpans(tokenizer, [])).toEqual({ ids: [1], trained: [false] });
    expect(encodeSpans(tokenizer, answer('', 'a'))).toEqual({ ids: tokenizer.encode('a'), trained: [false, true] });
    expect(encodeSpans(tokenizer, answer('', 'a'), { addSpecialTokens: false })).toEqual({
      ids: plain('a'),
      trained: [true],
    });
  });
});

it('trains on an end token that the tokenizer adds behind a trained text', () => {
  const closing = {
    encode: (text: string, { addSpecialTokens = true } = {}): number[] => [
      ...(addSpecialTokens ? [1] : []),
      ...tiny.encode(text, { addSpecialTokens: false }),
      ...(addSpecialTokens ? [2] : []),
    ],
  };
  expect(encodeSpans(closing, answer('x\n', 'y'))).toEqual({
    ids: closing.encode('x\ny'),
    trained: [false, false, false, true, true],
  });
});

it('adds no token that the text has already at its beginning or end', () => {
  const plainIds = (text: string) => tiny.encode(text, { addSpecialTokens: false });
  for (const spans of [answer('<s>How many?', ' 7</s>'), answer('How many?', ' 7</s>')])
    expect(encodeSpans(tiny, spans).ids).toEqual(tiny.encode('How many? 7</s>'));
  const whole = encodeSpans(tiny, [{ text: '<s>How many?', trained: true }]);
  expect(whole.trained).toEqual(whole.ids.map((_, index) => index > 0));
  // A vocabulary that ends texts as well.
  const ending = {
    encode: (text: string, { addSpecialTokens = true } = {}) => [...plainIds(text), ...(addSpecialTokens ? [2] : [])],
  };
  expect(encodeSpans(ending, [{ text: 'a</s>', trained: true }]).ids).toEqual([...plainIds('a'), 2]);
  expect(encodeSpans(ending, [{ text: 'a', trained: true }]).ids).toEqual([...plainIds('a'), 2]);
});
