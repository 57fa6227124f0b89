import type { TokenizerFiles } from './tokenizer-files.js';
import type { TokenizerPipeline } from './tokenizers/tokenizer-pipeline.js';
import { classWarnings } from './transformers-classes.js';

/** Where a tokenizer's files say one thing and another is done. */
export function tokenizerWarnings(tokens: TokenizerPipeline, files: TokenizerFiles): string[] {
  return [
    ...idWarnings(tokens, files),
    ...(files.cleansUpSpaces && tokens.modelType !== 'BPE'
      ? [
          'tokenizer_config.json has clean_up_tokenization_spaces: it is not applied, so decoded text keeps the spaces before punctuation',
        ]
      : []),
    // Smaller vocabularies are left alone there.
    ...(files.fixesMistralRegex && tokens.vocabulary.size > 100_000
      ? [
          'tokenizer_config.json has fix_mistral_regex, for which transformers replaces the pre_tokenizer of tokenizer.json: tokenizer.json is followed, so token ids can differ',
        ]
      : []),
    ...(files.hasOwnCode
      ? [
          'tokenizer_config.json names code that comes with the checkpoint (auto_map): it is not run, and tokenizer.json is followed',
        ]
      : []),
    ...classWarnings(tokens, files),
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
