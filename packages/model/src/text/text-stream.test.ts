import fc from 'fast-check';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createTextStream, type TextStream } from './text-stream.js';
import { openTokenizer } from './tokenizer.js';

const folder = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const tokenizers = {
  'byte fallback': openTokenizer(folder('fixtures/tokenizers/mistral-7b-v0.1')),
  'byte level': openTokenizer(folder('examples/models/tiny-mistral-gsm8k')),
};
// Words, spaces and line ends that vocabularies join, and any character at all.
const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
      fc.constantFrom(' ', '  ', '\n', ' the', 'ing', '12', '.', '</s>', '<|user|>', '🙂', '👨‍👩‍👧', '日本語', '\uFFFD'),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

function run(stream: TextStream, ids: readonly number[]): string[] {
  return [...ids.map((id) => stream.push(id)), stream.finish()];
}

/** Reads one UTF-16 unit at a time; the first stop string to be completed, the longest if several are, cuts the text. */
function naiveCut(text: string, stops: readonly string[]): { text: string; stop: string | undefined } {
  for (let end = 1; end <= text.length; end++) {
    const completed = stops.filter((stop) => text.slice(0, end).endsWith(stop)).sort((a, b) => b.length - a.length);
    if (completed.length > 0) return { text: text.slice(0, end - completed[0]!.length), stop: completed[0] };
  }
  return { text, stop: undefined };
}

describe.each(Object.entries(tokenizers))('createTextStream, %s', (kind, tokenizer) => {
  it('gives, joined, the decoded text of any text', () => {
    fc.assert(
      fc.property(texts, fc.boolean(), (text, skipSpecialTokens) => {
        const ids = tokenizer.encode(text);
        const deltas = run(tokenizer.stream({ skipSpecialTokens }), ids);
        expect(deltas.join('')).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
      }),
      { numRuns: 400, seed: 1 },
    );
  });

  it('gives, joined, the decoded text of any ids', () => {
    const id = fc.oneof(
      fc.nat(tokenizer.vocabularySize + 20),
      fc.nat(300),
      fc.constantFrom(...tokenizer.encode('🙂é  \uFEFF日')),
    );
    let compared = 0;
    fc.assert(
      fc.property(fc.array(id, { maxLength: 30 }), fc.boolean(), (ids, skipSpecialTokens) => {
        const deltas = run(tokenizer.stream({ skipSpecialTokens }), ids);
        const whole = tokenizer.decode(ids, { skipSpecialTokens });
        // A byte that belongs to no character makes the library replace the valid ones beside it.
        if (kind === 'byte fallback' && whole.includes('\uFFFD')) return;
        expect(deltas.join('')).toBe(whole);
        compared++;
      }),
      { numRuns: 1000, seed: 2 },
    );
    expect(compared).toBeGreaterThan(200);
  });

  it('never gives half a character', () => {
    const ids = tokenizer.encode('a𝕬b', { addSpecialTokens: false });
    const deltas = run(tokenizer.stream(), ids);
    expect(ids.length).toBeGreaterThan(4); // the letter's bytes are several tokens here, or the test shows nothing
    expect(deltas.filter((delta) => delta !== '')).toEqual(['a', '𝕬', 'b']);
  });

  it('shows a word as soon as its token has come', () => {
    const ids = tokenizer.encode('the price of the apples', { addSpecialTokens: false });
    const stream = tokenizer.stream();
    for (let count = 1; count <= ids.length; count++) {
      expect(stream.push(ids[count - 1]!)).toBe(
        tokenizer.decode(ids.slice(0, count)).slice(tokenizer.decode(ids.slice(0, count - 1)).length),
      );
    }
  });

  it('gives a broken character at the end of the text, not before', () => {
    const ids = tokenizer.encode('𝕬', { addSpecialTokens: false }).slice(0, -1);
    const deltas = run(tokenizer.stream(), ids);
    expect(deltas.slice(0, -1).join('')).not.toContain('\uFFFD');
    // The library gives one for every byte that is a token of its own.
    expect(deltas.at(-1)).toBe(kind === 'byte fallback' ? '\uFFFD'.repeat(ids.length - 1) : '\uFFFD');
  });

  it('cuts at stop strings where a naive search does, and shows nothing of them', () => {
    const stops = fc.array(fc.constantFrom('ab', 'abcab', 'bc', 'c\n', '\n\n', '🙂🙂', 'the', ' a', 'caab'), {
      minLength: 1,
      maxLength: 4,
    });
    const stopTexts = fc.array(fc.constantFrom('a', 'b', 'c', '\n', ' ', '🙂', 'the', 'é'), { maxLength: 40 });
    let cut = 0;
    fc.assert(
      fc.property(stopTexts, stops, (parts, stop) => {
        const ids = tokenizer.encode(parts.join(''));
        const expected = naiveCut(tokenizer.decode(ids), stop);
        const stream = tokenizer.stream({ stop });
        let shown = '';
        for (const delta of run(stream, ids)) {
          shown += delta;
          expect(expected.text.startsWith(shown)).toBe(true);
        }
        expect(shown).toBe(expected.text);
        expect(stream.stop).toBe(expected.stop);
        if (expected.stop !== undefined) cut++;
      }),
      { numRuns: 1500, seed: 3 },
    );
    expect(cut).toBeGreaterThan(200);
  });
});

it('keeps the characters that it has given when bytes follow that are none', () => {
  const stream = tokenizers['byte fallback'].stream();
  const ids = [0xc3, 0xa9, 0x80].map((byte) => 3 + byte); // é, and a byte from within a character
  expect(run(stream, ids)).toEqual(['', 'é', '', '\uFFFD\uFFFD']);
  expect(tokenizers['byte fallback'].decode(ids)).toBe('\uFFFD\uFFFD\uFFFD');
});

it('does as much work for the last token as for the first', () => {
  const tokenizer = tokenizers['byte level'];
  let decoded = 0;
  const stream = createTextStream({
    decode: (ids) => {
      decoded += ids.length;
      return tokenizer.decode(ids);
    },
    counts: () => true,
  });
  const ids = tokenizer.encode(' the 𝕬', { addSpecialTokens: false });
  for (let count = 0; count < 1000; count++) ids.forEach((id) => stream.push(id));
  expect(decoded).toBeLessThan(1000 * ids.length * 2 * ids.length);
});
