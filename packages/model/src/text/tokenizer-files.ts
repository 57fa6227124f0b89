import { isMissing, mostDocumentBytes, type CheckpointDocuments } from '@glulam/files';
import { z } from 'zod';
import {
  addedTokensDecoder,
  addedTokensFile,
  readMoreTokens,
  specialTokenFields,
  specialTokensMap,
  type MoreTokens,
} from './added-token-files.js';
import { ModelError } from '../errors.js';
import { readAddedTokens } from './tokenizers/added-vocabulary.js';
import { documentsOf, type DocumentsOf } from '../checkpoints/documents.js';

const tokenizerConfig = specialTokenFields.extend({
  added_tokens_decoder: addedTokensDecoder.nullish(),
  split_special_tokens: z.boolean().nullish(),
  clean_up_tokenization_spaces: z.boolean().nullish(),
  tokenizer_class: z.string().nullish(),
  legacy: z.boolean().nullish(),
  add_prefix_space: z.boolean().nullish(),
  fix_mistral_regex: z.boolean().nullish(),
  auto_map: z.unknown().optional(),
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
});
const tokenizerFile = z.looseObject({ padding: z.looseObject({ pad_token: z.string() }).nullish() });
const tokenId = z.number().int().nonnegative();
const generationConfig = z.looseObject({ eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish() });
// Whether the rest of config.json is right is for those to say who open the model.
const modelConfig = z.looseObject({
  model_type: z.unknown().optional(),
  tokenizer_class: z.unknown().optional(),
  // A negative id, which some configs have, means none.
  eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
});

/** What a checkpoint's files say about its tokenizer. */
export interface TokenizerFiles {
  /** tokenizer.json, as parsed. */
  readonly tokenizer: object;
  /** What other files add to tokenizer.json's tokens, and the tokens with a name. */
  readonly tokens: MoreTokens;
  readonly splitSpecialTokens: boolean;
  readonly cleansUpSpaces: boolean;
  /** tokenizer_config.json's fix_mistral_regex. */
  readonly fixesMistralRegex: boolean;
  /** Whether tokenizer_config.json names code that comes with the checkpoint. */
  readonly hasOwnCode: boolean;
  /** The class that transformers would open, where a file names one, and config.json's model_type. */
  readonly tokenizerClass: string | undefined;
  readonly modelType: string | undefined;
  /** What the constructors of transformers' classes are given. */
  readonly classOptions: {
    readonly legacy: boolean;
    readonly addPrefixSpace: boolean | undefined;
    /** The fields of tokenizer_config.json, and of special_tokens_map.json where it has a part. */
    readonly given: ReadonlySet<string>;
    /** Whether tokenizer_config.json lists all added tokens (added_tokens_decoder). */
    readonly replacesAddedTokens: boolean;
  };
  readonly chatTemplate: string | undefined;
  /** generation_config.json's end tokens. */
  readonly generationEosIds: readonly number[];
  /** config.json's, where generation_config.json gives none. */
  readonly configEosIds: readonly number[];
}

/**
 * Reads tokenizer.json and, where they are, tokenizer_config.json, added_tokens.json, special_tokens_map.json,
 * chat_template.jinja, generation_config.json and config.json. The template's own file takes precedence over the one in
 * tokenizer_config.json.
 *
 * @throws ModelError TOKENIZER_INVALID naming the file
 */
export function readTokenizerFiles(base: DocumentsOf): TokenizerFiles {
  const documents = documentsOf(base);
  const tokenizer = readJson(documents, 'tokenizer.json', tokenizerFile);
  if (tokenizer === undefined) throw missing(documents);
  const config = readJson(documents, 'tokenizer_config.json', tokenizerConfig) ?? {};
  const decoder = config.added_tokens_decoder ?? undefined;
  const map = decoder === undefined ? readJson(documents, 'special_tokens_map.json', specialTokensMap) : undefined;
  const tokens = readMoreTokens({
    config,
    decoder,
    map,
    added: decoder === undefined ? readJson(documents, 'added_tokens.json', addedTokensFile) : undefined,
    padToken: tokenizer.padding?.pad_token,
    listed: aboutFile(documents, () => readAddedTokens(tokenizer)),
  });
  const model = readJson(documents, 'config.json', modelConfig);
  const generationEos = readJson(documents, 'generation_config.json', generationConfig)?.eos_token_id ?? undefined;
  const configEos = model?.eos_token_id ?? [];

  // Older checkpoints keep several templates by name; 'default' is the one for plain conversations.
  const template = config.chat_template ?? undefined;
  const inConfig = typeof template === 'string' ? template : template?.find(({ name }) => name === 'default')?.template;
  return {
    tokenizer,
    tokens,
    splitSpecialTokens: config.split_special_tokens ?? false,
    cleansUpSpaces: config.clean_up_tokenization_spaces ?? false,
    fixesMistralRegex: config.fix_mistral_regex ?? false,
    hasOwnCode: config.auto_map !== undefined && config.auto_map !== null,
    tokenizerClass:
      config.tokenizer_class ?? (typeof model?.tokenizer_class === 'string' ? model.tokenizer_class : undefined),
    modelType: typeof model?.model_type === 'string' ? model.model_type : undefined,
    classOptions: {
      legacy: config.legacy ?? false,
      addPrefixSpace: config.add_prefix_space ?? undefined,
      given: new Set([...Object.keys(config), ...Object.keys(map ?? {})]),
      replacesAddedTokens: decoder !== undefined,
    },
    chatTemplate: readText(documents, 'chat_template.jinja') ?? inConfig,
    generationEosIds: [generationEos ?? []].flat(),
    configEosIds: generationEos === undefined ? [configEos].flat().filter((id) => id >= 0) : [],
  };
}

/** Runs what reads tokenizer.json; its errors then name the file. */
export function aboutFile<T>(base: DocumentsOf, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(error.code, `${documentsOf(base).locate('tokenizer.json')} cannot be used: ${error.message}`, {
      cause: error,
    });
  }
}

// What other tokenizers are kept in. transformers reads all of these and writes tokenizer.json.
const OTHER_FILES = ['tokenizer.model', 'tekken.json', 'vocab.json', 'tiktoken.model'];

function missing(documents: CheckpointDocuments): ModelError {
  const { folder } = documents;
  const other = OTHER_FILES.find((name) => documents.has(name));
  const found =
    other === undefined
      ? "Copy the tokenizer's files from the checkpoint on the Hugging Face Hub, or check the path."
      : `The folder has ${other}, but only tokenizer.json is read. Make one with: python -c 'import transformers; ` +
        `transformers.AutoTokenizer.from_pretrained("${folder}").save_pretrained("${folder}")' (it needs transformers, ` +
        'sentencepiece, protobuf and tiktoken).';
  return new ModelError('TOKENIZER_INVALID', `${documents.locate('tokenizer.json')}: there is no such file. ${found}`);
}

function readText(documents: CheckpointDocuments, name: string): string | undefined {
  try {
    return documents.read(name, mostDocumentBytes);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new ModelError(
      'TOKENIZER_INVALID',
      `${documents.locate(name)}: cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Twice as many as it has. A fault of each takes a hundred times the memory of the value, and all of them are collected. */
const mostValues = 3_000_000;

function countCommas(text: string): number {
  let count = 0;
  for (let at = text.indexOf(','); at >= 0; at = text.indexOf(',', at + 1)) count++;
  return count;
}

/** A file with a million faults is not understood better by the last of them. */
const firstFaults = ({ issues }: z.ZodError): z.ZodError => new z.ZodError(issues.slice(0, 20));

function readJson<T extends z.ZodType>(
  documents: CheckpointDocuments,
  name: string,
  schema: T,
): z.output<T> | undefined {
  const text = readText(documents, name);
  if (text === undefined) return undefined;
  const path = documents.locate(name);
  if (countCommas(text) > mostValues)
    throw new ModelError(
      'TOKENIZER_INVALID',
      `${path}: it has more than ${mostValues} values, expected fewer than that`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelError(
      'TOKENIZER_INVALID',
      `${path}: not JSON: ${(error as SyntaxError).message}. The file may be cut short or a Git LFS pointer: fetch it again.`,
      { cause: error },
    );
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    throw new ModelError('TOKENIZER_INVALID', `${path}: ${z.prettifyError(firstFaults(result.error))}`);
  }
  return result.data;
}
