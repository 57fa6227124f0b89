import { isDeepStrictEqual } from 'node:util';
import type { TokenizerFiles } from './tokenizer-files.js';
import type { TokenizerPipeline } from './tokenizers/tokenizer-pipeline.js';

/** Where a tokenizer's files say one thing and another is done. */
export function tokenizerWarnings(tokens: TokenizerPipeline, files: TokenizerFiles): string[] {
  return [
    ...idWarnings(tokens, files),
    ...(files.cleansUpSpaces && tokens.modelType !== 'BPE'
      ? ['tokenizer_config.json has clean_up_tokenization_spaces: it is not applied, so decoded text keeps the spaces before punctuation']
      : []), // prettier-ignore
    ...classWarning(files),
  ];
}

/** New tokens get the next ids, as in the tokenizers library, whatever id a file gives them. */
function idWarnings(tokens: TokenizerPipeline, { tokens: { ids } }: TokenizerFiles): string[] {
  // Two files may give the same token the same id.
  const others = new Map(
    ids.filter(({ content, id }) => tokens.idOf(content) !== id).map((each) => [each.content, each]),
  );
  const [first] = others.values();
  if (first === undefined) return [];
  const more = others.size === 1 ? '' : ` (and ${others.size - 1} more such tokens)`;
  return [
    `${first.file} gives the token ${JSON.stringify(first.content)} the id ${first.id}, and the tokenizers library gives it ` +
      `${tokens.idOf(first.content)}${more}: the library is followed`,
  ];
}

const byteLevel = { type: 'ByteLevel', add_prefix_space: false };
const split = (pattern: string): object => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }); // prettier-ignore
const qwen2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const metaspace = (scheme: string): object => ({ type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: false }); // prettier-ignore

// What these classes of transformers 5 make of the vocabulary of a tokenizer.json, in place of what it says.
const rebuilt = (
  prefixSpace: string,
): Readonly<Record<string, { normalizer: object | null; pre_tokenizer: object }>> => ({
  LlamaTokenizer: { normalizer: null, pre_tokenizer: metaspace(prefixSpace) },
  CodeLlamaTokenizer: { normalizer: null, pre_tokenizer: metaspace('first') },
  GPT2Tokenizer: { normalizer: null, pre_tokenizer: { ...byteLevel, use_regex: true } },
  GPTNeoXTokenizer: { normalizer: { type: 'NFC' }, pre_tokenizer: { ...byteLevel, use_regex: true } },
  Qwen2Tokenizer: {
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split(qwen2), { ...byteLevel, use_regex: false }] },
  },
});

/**
 * transformers 5 opens a tokenizer by the class that tokenizer_config.json names, unless the model's type decides (it
 * does for mistral); some classes build a pipeline of their own.
 */
function classWarning({ tokenizer, tokenizerClass, modelType, prefixSpace }: TokenizerFiles): string[] {
  const name = tokenizerClass?.replace(/Fast$/, '');
  const own = modelType === 'llama' && name !== undefined ? rebuilt(prefixSpace)[name] : undefined;
  const { normalizer = null, pre_tokenizer: pre = null } = tokenizer as {
    normalizer?: unknown;
    pre_tokenizer?: unknown;
  };
  if (own === undefined || isDeepStrictEqual(plain({ normalizer, pre_tokenizer: pre }), plain(own))) return [];
  return [
    `tokenizer_config.json names the class ${tokenizerClass}, for which transformers 5 replaces the normalizer and ` +
      'pre_tokenizer of tokenizer.json: tokenizer.json is followed, so token ids can differ from transformers 5',
  ];
}

/** Without what does not change ids. */
function plain(value: object): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, each: unknown) =>
      key === 'trim_offsets' || (key === 'use_regex' && each === true) || (key === 'invert' && each === false) ? undefined : each,
    ),
  ); // prettier-ignore
}
