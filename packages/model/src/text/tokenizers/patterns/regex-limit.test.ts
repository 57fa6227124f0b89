import { describe, expect, test } from 'vitest';
import { createPipeline } from '../tokenizer-pipeline.js';

const model = { type: 'WordLevel', vocab: { '[UNK]': 0, a: 1, '!': 2 }, unk_token: '[UNK]' };
const text = `${'a'.repeat(60)}!`;
const stopped = (place: string, length: number): unknown =>
  expect.objectContaining({
    code: 'PATTERN_TIMEOUT',
    message: expect.stringMatching(
      new RegExp(
        `^the regular expression ".*" of its ${place} was stopped after 1 s on a text of ${length} characters; `,
      ),
    ),
  });

describe('a regular expression of tokenizer.json that does not end is stopped and named', () => {
  test.each([
    ['(a+)+$x', 61],
    ['^(\\w|\\w\\w|\\w+)+$x', 61],
    ['(?:a|a)*$x', 61],
    ['(?>(?:a+)+b)', 61],
  ])('normalizer Replace %s', (Regex, length) => {
    const pipeline = createPipeline({ normalizer: { type: 'Replace', pattern: { Regex }, content: '' }, model });
    expect(() => pipeline.encode(text, false)).toThrow(stopped('normalizer Replace', length));
  });

  test('pre_tokenizer Split, in a Sequence', () => {
    const split = { type: 'Split', pattern: { Regex: '^(\\w|\\w\\w|\\w+)+$x' }, behavior: 'Isolated', invert: false };
    const pipeline = createPipeline({ pre_tokenizer: { type: 'Sequence', pretokenizers: [split] }, model });
    expect(() => pipeline.encode(text, false)).toThrow(stopped('pre_tokenizer Split', 61));
    expect(pipeline.encode('a', false)).toEqual([1]);
  });

  test('decoder Replace', () => {
    const decoder = {
      type: 'Sequence',
      decoders: [{ type: 'Fuse' }, { type: 'Replace', pattern: { Regex: '(a+)+$x' }, content: '' }],
    };
    const pipeline = createPipeline({ decoder, model });
    expect(() => pipeline.decode([...Array<number>(60).fill(1), 2])).toThrow(stopped('decoder Replace', 61));
  });

  test('where added tokens are normalized as it is opened', () => {
    const token = {
      id: 3,
      content: text,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: true,
      special: false,
    };
    const normalizer = { type: 'Replace', pattern: { Regex: '(a+)+$x' }, content: '' };
    expect(() => createPipeline({ added_tokens: [token], normalizer, model })).toThrow(
      stopped('normalizer Replace', 61),
    );
  });
});

describe('what would fill the memory is refused', () => {
  test.each([
    ['String', { String: 'a' }],
    ['Regex', { Regex: 'a' }],
  ])('replacements by longer texts, one after another: %s', (_, pattern) => {
    const doubles = Array.from({ length: 40 }, () => ({ type: 'Replace', pattern, content: 'aa' }));
    const pipeline = createPipeline({ normalizer: { type: 'Sequence', normalizers: doubles }, model });
    expect(() => pipeline.encode('a', false)).toThrow(/makes a text of [\d,]+ characters of one of |was stopped after/);
  });

  test.each([
    ['normalizer', 'normalizers'],
    ['pre_tokenizer', 'pretokenizers'],
  ])('%s that doubles what is beyond ASCII, again and again', (part, steps) => {
    const each = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
    const pipeline = createPipeline({ [part]: { type: 'Sequence', [steps]: Array(40).fill(each) }, model });
    expect(() => pipeline.encode('é', false)).toThrow(/it makes a text of [\d,]+ characters of one of /);
  });

  test('a decoder', () => {
    const decoder = { type: 'Replace', pattern: { String: 'a' }, content: 'b'.repeat(100_000) };
    expect(() => createPipeline({ decoder, model }).decode(Array<number>(20).fill(1))).toThrow(
      /it makes a text of 2,000,000 characters of one of 20/,
    );
  });
});

test('steps within steps are refused where they are nested too deep', () => {
  let normalizer: unknown = null;
  for (let depth = 0; depth < 100_000; depth++) normalizer = { type: 'Sequence', normalizers: [normalizer] };
  expect(() => createPipeline({ normalizer, model })).toThrow(
    expect.objectContaining({ code: 'TOKENIZER_INVALID', message: 'it is nested too deep' }),
  );
});

test.each([
  ['it is too long', 'a|'.repeat(10_000), /it has 20000 characters; expected at most 10000/],
  ['it is nested too deep', '('.repeat(2000) + ')'.repeat(2000), /groups within groups, more than 50 deep/],
  ['a set is nested too deep', '['.repeat(4999) + 'a' + ']'.repeat(4999), /sets within sets, more than 50 deep/],
])('an expression is refused as the file is opened where %s', (_, Regex, message) => {
  const normalizer = { type: 'Replace', pattern: { Regex }, content: '' };
  expect(() => createPipeline({ normalizer, model })).toThrow(
    expect.objectContaining({ code: 'TOKENIZER_UNSUPPORTED', message: expect.stringMatching(message) }),
  );
});
