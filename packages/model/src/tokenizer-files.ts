import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ModelError } from './errors.js';

const SPECIAL_TOKEN_NAMES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'pad_token',
  'sep_token',
  'cls_token',
  'mask_token',
] as const;
type SpecialTokenName = (typeof SPECIAL_TOKEN_NAMES)[number];

// A token is written as its text or as an AddedToken record.
const tokenText = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
const specialTokens = z.looseObject(
  Object.fromEntries(SPECIAL_TOKEN_NAMES.map((name) => [name, tokenText.nullish()])) as Record<
    SpecialTokenName,
    z.ZodOptional<z.ZodNullable<typeof tokenText>>
  >,
);
const tokenizerConfig = specialTokens.extend({
  additional_special_tokens: z.array(tokenText).nullish(),
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
});
const tokenId = z.number().int().nonnegative();
const generationConfig = z.looseObject({ eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish() });
// A negative id, which some configs have, means none.
const modelConfig = z.looseObject({ eos_token_id: z.union([z.int(), z.array(z.int())]).nullish() });

/** What a checkpoint's files say about its tokenizer. */
export interface TokenizerFiles {
  /** tokenizer.json, as parsed. */
  readonly tokenizer: object;
  /** tokenizer_config.json, as parsed, or an empty record. */
  readonly config: object;
  /** Texts by name; names that no file gives are absent. */
  readonly specialTokens: Readonly<Partial<Record<SpecialTokenName, string>>>;
  readonly additionalSpecialTokens: readonly string[];
  readonly chatTemplate: string | undefined;
  /** generation_config.json's end tokens. */
  readonly generationEosIds: readonly number[];
  /** config.json's, where generation_config.json gives none. */
  readonly configEosIds: readonly number[];
}

/**
 * Reads tokenizer.json and, where they are, tokenizer_config.json, special_tokens_map.json, chat_template.jinja,
 * generation_config.json and config.json. tokenizer_config.json's special tokens go before the map's, the template's own file before
 * the one in tokenizer_config.json.
 *
 * @throws ModelError TOKENIZER_INVALID naming the file
 */
export function readTokenizerFiles(folder: string): TokenizerFiles {
  const tokenizer = readJson(folder, 'tokenizer.json', z.looseObject({}));
  if (tokenizer === undefined) throw missing(folder);
  const config = readJson(folder, 'tokenizer_config.json', tokenizerConfig);
  const map = readJson(folder, 'special_tokens_map.json', specialTokens);
  const generationEos = readJson(folder, 'generation_config.json', generationConfig)?.eos_token_id ?? undefined;
  const configEos = readJson(folder, 'config.json', modelConfig)?.eos_token_id ?? [];

  const named: Partial<Record<SpecialTokenName, string>> = {};
  for (const name of SPECIAL_TOKEN_NAMES) {
    const text = config?.[name] ?? map?.[name];
    if (text !== undefined && text !== null) named[name] = text;
  }
  // Older checkpoints keep several templates by name; 'default' is the one for plain conversations.
  const template = config?.chat_template ?? undefined;
  const inConfig = typeof template === 'string' ? template : template?.find(({ name }) => name === 'default')?.template;
  return {
    tokenizer,
    config: config ?? {},
    specialTokens: named,
    additionalSpecialTokens: config?.additional_special_tokens ?? [],
    chatTemplate: readText(folder, 'chat_template.jinja') ?? inConfig,
    generationEosIds: [generationEos ?? []].flat(),
    configEosIds: generationEos === undefined ? [configEos].flat().filter((id) => id >= 0) : [],
  };
}

function missing(folder: string): ModelError {
  const found = existsSync(join(folder, 'tokenizer.model'))
    ? 'The folder has tokenizer.model, but only tokenizer.json is read. Make one beside it in Python with ' +
      `transformers.AutoTokenizer.from_pretrained("${folder}", use_fast=True).save_pretrained("${folder}").`
    : "Copy the tokenizer's files from the checkpoint on the Hugging Face Hub, or check the path.";
  return new ModelError('TOKENIZER_INVALID', `${join(folder, 'tokenizer.json')}: there is no such file. ${found}`);
}

function readText(folder: string, name: string): string | undefined {
  const path = join(folder, name);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new ModelError('TOKENIZER_INVALID', `${path}: cannot be read: ${message}`, { cause: error });
  }
}

function readJson<T extends z.ZodType>(folder: string, name: string, schema: T): z.output<T> | undefined {
  const text = readText(folder, name);
  if (text === undefined) return undefined;
  const path = join(folder, name);
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
    throw new ModelError('TOKENIZER_INVALID', `${path}: ${z.prettifyError(result.error)}`, { cause: result.error });
  }
  return result.data;
}
