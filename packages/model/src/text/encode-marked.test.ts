import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { TextSpan } from './chat-template.js';
import { encodeMarked } from './encode-marked.js';
import { openTokenizer, type Tokenizer } from './tokenizer.js';

const root = path.resolve(import.meta.dirname, '../../../..');
const scratch = mkdtempSync(path.join(tmpdir(), 'glulam-marked-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const { kinds, charsmaps } = JSON.parse(
  gunzipSync(readFileSync(path.join(root, 'fixtures/tokenizers/kinds/kinds.json.gz'))).toString(),
) as {
  charsmaps: string[];
  kinds: Record<string, { tokenizer: { normalizer: { normalizers?: { precompiled_charsmap?: unknown }[] } | null } }>;
};
function kind(name: string): Tokenizer {
  const folder = path.join(scratch, name);
  mkdirSync(folder, { recursive: true });
  for (const step of kinds[name]!.tokenizer.normalizer?.normalizers ?? [])
    if (typeof step.precompiled_charsmap === 'number') step.precompiled_charsmap = charsmaps[step.precompiled_charsmap];
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(kinds[name]!.tokenizer));
  return openTokenizer(folder);
}
const tiny = openTokenizer(path.join(root, 'examples/models/tiny-mistral-gsm8k')); // byte-level BPE
const mistral = openTokenizer(path.join(root, 'fixtures/tokenizers/mistral-7b-v0.1')); // byte fallback

/** `a[b]c`: b is trained. */
function spansOf(text: string): TextSpan[] {
  return text
    .split(/[⟦⟧]/)
    .map((piece, index) => ({ text: piece, trained: index % 2 === 1 }))
    .filter((span) => span.text !== '');
}
/** The trained tokens' texts, a list for each run of them. */
function learnt(tokenizer: Tokenizer, text: string): string[] {
  const spans = spansOf(text);
  const { ids, trained } = encodeMarked(tokenizer, spans);
  expect(ids).toEqual(tokenizer.encode(spans.map((span) => span.text).join(''), { addSpecialTokens: false }));
  const runs: number[][] = [];
  ids.forEach((id, index) => {
    if (!trained[index]) return;
    if (trained[index - 1]) runs.at(-1)!.push(id);
    else runs.push([id]);
  });
  return runs.map((run) => tokenizer.decode(run, { skipSpecialTokens: false }));
}

describe.each([
  ['byte-level BPE', tiny],
  ['byte fallback', mistral],
  ['Metaspace', kind('metaspace-first')],
  ['Unigram with byte fallback', kind('unigram-bytes')],
])('%s', (_, tokenizer) => {
  test('special tokens are in or out as they are marked', () => {
    expect(learnt(tokenizer, '<s>[INST] One and one?[/INST]⟦ Two.</s>⟧[INST] Add.[/INST]⟦ Four.⟧</s>')).toHaveLength(2);
    expect(learnt(tokenizer, '<s>x\n⟦</s>⟧<s>')).toEqual(['</s>']);
    expect(learnt(tokenizer, '⟦<s>⟧x</s>')).toEqual(['<s>']);
  });

  test('a character of several tokens is trained whole, one beside the mark is not', () => {
    expect(learnt(tokenizer, '<s>a\n⟦𓀀⟧\nb')).toEqual(['𓀀']);
    expect(learnt(tokenizer, '<s>𓀀\n⟦</s>⟧\n𓀀')).toEqual(['</s>']);
  });

  test('without marks nothing is trained, with all marked everything; of no text there is nothing', () => {
    const text = '<s>One and one? 𓀀</s>';
    expect(learnt(tokenizer, text)).toEqual([]);
    const all = encodeMarked(tokenizer, [{ text, trained: true }]);
    expect(all.trained).toEqual(all.ids.map(() => true));
    expect(encodeMarked(tokenizer, [])).toEqual({ ids: [], trained: [] });
    expect(encodeMarked(tokenizer, [{ text: '', trained: true }])).toEqual({ ids: [], trained: [] });
  });
});

test('a token that reaches over a mark is trained', () => {
  const text = 'how many apples</s>';
  const whole = tiny.encode(text, { addSpecialTokens: false });
  const parts = ['how many appl', 'es</s>'].flatMap((part) => tiny.encode(part, { addSpecialTokens: false }));
  expect(parts).not.toEqual(whole); // else the case shows nothing
  expect(learnt(tiny, 'how many appl⟦es</s>⟧')).toEqual([' apples</s>']);
  expect(learnt(tiny, '⟦how many appl⟧es</s>')).toEqual(['how many apples']);
  expect(learnt(tiny, 'how many a⟦pp⟧les</s>')).toEqual([' apples']);
});

test('a space before a mark is of the token that has it', () => {
  expect(learnt(tiny, 'Assistant: ⟦apples</s>⟧')).toEqual([' apples</s>']);
  expect(learnt(tiny, 'Assistant:⟦ apples</s>⟧')).toEqual([' apples</s>']);
  expect(learnt(mistral, 'Assistant: ⟦apples</s>⟧')).toEqual(['apples</s>']);
});

describe('text that decoding does not give back', () => {
  const uncased = kind('bert-uncased');

  test('is found by the ids before and after a mark', () => {
    expect(learnt(uncased, '[CLS] USER: Grüße! ASSISTANT: ⟦The HOUSE.[SEP]⟧ USER: ⟦a⟧')).toEqual([
      'the house. [SEP]',
      'a',
    ]);
    expect(learnt(uncased, '[CLS] x ⟦y⟧[SEP] z')).toEqual(['y']);
    // The mark is in a word.
    expect(learnt(uncased, 'of the ho⟦use⟧ of')).toHaveLength(1);
  });

  test('also where white space at its end is stripped, or the next character belongs to the next token', () => {
    // NFC makes one character of two.
    expect(learnt(kind('qwen2'), '<s>user: e\u0301\n⟦e\u0301.</s>⟧\ne\u0301')).toEqual(['é.</s>']);
    expect(learnt(kind('t5'), '<s> user: Water\n⟦the house</s>⟧\nWater')).toEqual(['the house</s>']);
  });
});

test('for any marks the ids are those of the whole, and what is trained holds the marked text', () => {
  const part = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 5 }),
    fc.constantFrom('the', ' ', '  ', '\n', 'ing', ' app', 'les', '12', 'é', '🙂', '\uFFFD', '</s>', '<s>'),
  );
  const spans = fc.array(fc.record({ text: part, trained: fc.boolean() }), { maxLength: 8 });
  const tokenizers = [tiny, mistral, kind('gemma'), kind('bert-cased'), kind('t5')];
  fc.assert(
    fc.property(spans, fc.constantFrom(...tokenizers), (pieces, tokenizer) => {
      const text = pieces.map((piece) => piece.text).join('');
      const { ids, trained } = encodeMarked(tokenizer, pieces);
      expect(ids).toEqual(tokenizer.encode(text, { addSpecialTokens: false }));
      expect(trained).toHaveLength(ids.length);
      if (!pieces.some((piece) => piece.trained && piece.text !== '')) expect(trained).not.toContain(true);
      if (pieces.every((piece) => piece.trained)) expect(trained).not.toContain(false);
    }),
    { numRuns: 500, seed: 1 },
  );
});
