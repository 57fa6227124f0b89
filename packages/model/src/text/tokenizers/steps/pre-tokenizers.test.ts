import { expect, it } from 'vitest';
import { createPreTokenizer } from './pre-tokenizers.js';

// Bytes of one character that a later step divides all belong to that character: tokenizers 0.23.2.
it.each([
  ['ไท', ['▁à', '▁¹', '▁Ħà¸Ĺ']],
  ['²x', ['▁Â', '▁²', 'x']],
  ['😀²', ['▁ðŁĺĢÂ', '²']],
  ['é²', ['▁Ã©Â', '²']],
  ['a²', ['▁aÂ', '²']],
])('Metaspace of the scheme first, after ByteLevel and Digits: %s', (text, pieces) => {
  const split = createPreTokenizer({
    type: 'Sequence',
    pretokenizers: [
      { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
      { type: 'Digits', individual_digits: false },
      { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
    ],
  })!;
  const first = String.fromCodePoint(text.codePointAt(0)!);
  expect(split([{ text, atStart: first.length }]).map((piece) => piece.text)).toEqual(pieces);
});
