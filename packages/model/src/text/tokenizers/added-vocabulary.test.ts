import { describe, expect, it } from 'vitest';
import { createPipeline } from './tokenizer-pipeline.js';

// An added token of two spaces that takes the spaces around it: tokenizers 0.23.2.
const tokenizer = (flags: { readonly lstrip?: boolean; readonly rstrip?: boolean }) =>
  createPipeline({
    model: { type: 'WordLevel', vocab: { '<unk>': 0, a: 1, ' ': 2 }, unk_token: '<unk>' },
    added_tokens: [
      {
        id: 3,
        content: '  ',
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: false,
        ...flags,
      },
    ],
  });
const texts = ['a  a', 'a    a', 'a     a', '      ', 'a   a    a'];

describe('an added token of spaces', () => {
  it.each([
    [{ lstrip: true, rstrip: true }, [[1, 3, 1], [1, 3, 1], [1, 3, 1], [3], [1, 3, 1, 3, 1]]],
    [
      { rstrip: true },
      [
        [1, 3, 1],
        [1, 3, 3, 1],
        [1, 3, 3, 1],
        [3, 3, 3],
        [1, 3, 1, 3, 3, 1],
      ],
    ],
    [
      { lstrip: true },
      [
        [1, 3, 1],
        [1, 3, 3, 1],
        [1, 3, 3, 0],
        [3, 3, 3],
        [1, 3, 0, 3, 3, 1],
      ],
    ],
  ])('%j: comes as often as in the library', (flags, ids) => {
    expect(texts.map((text) => tokenizer(flags).encode(text, false))).toEqual(ids);
  });
});
