import { describe, expect, it } from 'vitest';
import { createPipeline } from './tokenizer-pipeline.js';

const bpe = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, é: 3, É: 4 }, merges: [['a', 'b']] };
const added = (content: string, flags = {}): object => ({
  id: 9,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: false,
  ...flags,
});
const regex = (Regex: string): object => ({
  pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
});

function faultOf(file: object): { code: string; message: string } {
  try {
    createPipeline({ model: bpe, ...file });
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('expected an error');
}

describe('a feature that is not followed is refused by name', () => {
  it.each<[string, object, string]>([
    ['a normalizer', { normalizer: { type: 'Transliterate' } }, 'the normalizer Transliterate'],
    ['a pre-tokenizer', { pre_tokenizer: { type: 'UnicodeScripts' } }, 'the pre_tokenizer UnicodeScripts'],
    [
      'one in a sequence',
      { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Odd' }] } },
      'the pre_tokenizer Odd',
    ],
    ['a model', { model: { type: 'Lattice' } }, 'the model Lattice'],
    ['a decoder', { decoder: { type: 'Odd' } }, 'the decoder Odd'],
    ['a post-processor', { post_processor: { type: 'Odd' } }, 'the post_processor Odd'],
    ['dropout', { model: { ...bpe, dropout: 0.1 } }, 'dropout 0.1'],
    ['a reference back', regex('(a)\\1'), 'the reference back \\1'],
    ['\\K', regex('a\\Kb'), '\\K'],
    ['\\X', regex('\\X'), '\\X'],
    ['\\G', regex('\\Ga'), '\\G'],
    ['a property', regex('\\p{Extended_Pictographic}'), 'the property \\p{Extended_Pictographic}'],
    ['a folding to another length', regex('(?i:strasse)'), 'which folds to another length'],
    ['a folding to another length, as one character', regex('(?i)ß'), 'which folds to another length'],
    ['cases of a property in brackets', regex('(?i)[\\p{Lu}]'), '(?i) with [\\p{Lu}]'],
    [
      'added tokens that become one',
      {
        normalizer: { type: 'Lowercase' },
        added_tokens: [added('é', { normalized: true }), added('É', { normalized: true })],
      },
      'which the normalizer makes equal',
    ],
    [
      'an added token that becomes nothing',
      {
        normalizer: { type: 'Strip', strip_left: true, strip_right: true },
        added_tokens: [added(' ', { normalized: true })],
      },
      'which the normalizer makes empty',
    ],
    [
      'two post-processors that add',
      {
        post_processor: {
          type: 'Sequence',
          processors: [
            { type: 'BertProcessing', sep: ['a', 0], cls: ['b', 1] },
            { type: 'BertProcessing', sep: ['a', 0], cls: ['b', 1] },
          ],
        },
      },
      'several that add tokens',
    ],
  ])('%s', (_, file, words) => {
    const fault = faultOf(file);
    expect(fault.code).toBe('TOKENIZER_UNSUPPORTED');
    expect(fault.message).toContain(words);
  });
});

describe('a file that contradicts itself is refused', () => {
  it.each<[string, object, string]>([
    ['no model', { model: undefined }, 'it has no model'],
    ['a merge of unknown tokens', { model: { ...bpe, merges: [['a', 'c']] } }, '"c" is not in its vocabulary'],
    ['a merge of three', { model: { ...bpe, merges: ['a b c'] } }, 'expected two tokens'],
    ['an id that is none', { model: { ...bpe, vocab: { a: 'x' } } }, 'the id "x"'],
    [
      'a Split without invert',
      { pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Isolated' } },
      'invert',
    ],
    [
      'a token without ids',
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: 'x' } }, { Sequence: { id: 'A' } }],
          special_tokens: {},
        },
      },
      'for which it has no ids',
    ],
    ['rules that are cut short', { normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }, 'cut short'],
    ['an unk_id beyond the tokens', { model: { type: 'Unigram', vocab: [['a', 0]], unk_id: 3 } }, 'unk_id 3'],
    ['a pattern that does not close', regex('(a'), 'a group is not closed'],
  ])('%s', (_, file, words) => {
    const fault = faultOf(file);
    expect(fault.code).toMatch(/^TOKENIZER_/);
    expect(fault.message).toContain(words);
  });
});

it('refuses a character that the model has no token for, when it comes', () => {
  const { encode } = createPipeline({ model: { type: 'WordLevel', vocab: { a: 0 }, unk_token: '?' } });
  expect(() => encode('b', false)).toThrow('names the unknown token "?", which its vocabulary does not hold');
});

it('tokenizes a word of 200,000 characters in less than ten times the time of one of 50,000', () => {
  const letters = 'abab'.repeat(50_000);
  const { encode } = createPipeline({ model: { ...bpe, vocab: { ...bpe.vocab, abab: 5 }, merges: ['a b', 'ab ab'] } });
  const time = (text: string): number => {
    const start = performance.now();
    encode(text, false);
    return performance.now() - start;
  };
  time(letters.slice(0, 50_000));
  const short = time(letters.slice(0, 50_000));
  expect(encode(letters, false)).toHaveLength(50_000);
  expect(time(letters)).toBeLessThan(10 * short + 200);
});
