import { z } from 'zod';
import type { AddedToken } from './tokenizers/added-vocabulary.js';

// What files beside tokenizer.json add to it, in the way of transformers 5.18 (`PreTrainedTokenizerBase._from_pretrained`
// and `TokenizersBackend.__init__`): added_tokens_decoder in tokenizer_config.json; without it special_tokens_map.json
// and added_tokens.json; then the named tokens (bos_token and the like, and any other ..._token), and the extra ones.

const NAMED = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;
type SpecialTokenName = (typeof NAMED)[number];

const fields = z.looseObject({
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().nullish(),
  special: z.boolean().default(false),
});
const toToken = ({
  content,
  single_word: singleWord,
  lstrip,
  rstrip,
  normalized,
  special,
}: z.output<typeof fields>): AddedToken => ({
  content,
  singleWord,
  lstrip,
  rstrip,
  normalized: normalized ?? !special,
  special,
});
const record = fields.transform(toToken);
// Tokens of the map are special.
const specialRecord = fields.transform((each) => toToken({ ...each, special: true }));

/** A token is written as its text or as a record. */
type WrittenToken = string | AddedToken;
type TokenSchema = z.ZodType<WrittenToken>;

const fieldsOf = (token: TokenSchema) =>
  z.looseObject({
    ...(Object.fromEntries(NAMED.map((name) => [name, token.nullish()])) as Record<
      SpecialTokenName,
      z.ZodOptional<z.ZodNullable<TokenSchema>>
    >),
    additional_special_tokens: z.array(token).nullish(),
    extra_special_tokens: z.union([z.array(token), z.record(z.string(), token)]).nullish(),
  });
/** The fields of tokenizer_config.json that are tokens. */
export const specialTokenFields = fieldsOf(z.union([z.string(), record]));
/** special_tokens_map.json. */
export const specialTokensMap = fieldsOf(z.union([z.string(), specialRecord]));
type SpecialTokenFields = z.output<typeof specialTokenFields>;

/** Tokens by id; `added_tokens_decoder` of tokenizer_config.json. */
export const addedTokensDecoder = z.record(z.string().regex(/^\d+$/), record);
/** Ids by token. */
export const addedTokensFile = z.record(z.string(), z.int().min(0));

interface AddedTokenFiles {
  /** tokenizer_config.json. */
  readonly config: SpecialTokenFields;
  /** special_tokens_map.json. */
  readonly map: SpecialTokenFields | undefined;
  readonly decoder: z.output<typeof addedTokensDecoder> | undefined;
  /** added_tokens.json. */
  readonly added: z.output<typeof addedTokensFile> | undefined;
  /** The pad_token in tokenizer.json's `padding`, for files that do not name one. */
  readonly padToken: string | undefined;
  /** tokenizer.json's own. */
  readonly listed: readonly { readonly id: number; readonly token: AddedToken }[];
}

export interface MoreTokens {
  /** To be added after tokenizer.json's, in this order. */
  readonly tokens: readonly AddedToken[];
  /** The ids that files give them, which are not always the ids that they get. */
  readonly ids: readonly { readonly content: string; readonly id: number; readonly file: string }[];
  /** Texts by name: bos_token and the like, and other names that the files give. */
  readonly named: Readonly<Record<string, string>>;
}

export function readMoreTokens({ config, map, decoder, added, padToken, listed }: AddedTokenFiles): MoreTokens {
  // The map is of files that have no added_tokens_decoder. There it takes precedence.
  const given: SpecialTokenFields = {
    pad_token: padToken,
    ...config,
    ...(decoder === undefined ? map : {}),
  };
  const names = namedTokens(given);
  const extra = extraTokens(config, decoder === undefined ? map : undefined);
  const specialTexts = new Set([...names.values()].map(textOf));

  const byId = new Map<number, AddedToken>();
  const ids = listed.map(({ id, token }) => ({ content: token.content, id, file: 'tokenizer.json' }));
  for (const [id, each] of Object.entries(decoder ?? {})) {
    byId.set(Number(id), each);
    ids.push({ content: each.content, id: Number(id), file: 'added_tokens_decoder of tokenizer_config.json' });
  }
  if (decoder === undefined) {
    const known = new Set([...NAMED.map((name) => given[name]), ...extra].map((each) => each && textOf(each)));
    for (const [content, id] of Object.entries(added ?? {})) {
      const special = known.has(content);
      byId.set(id, { content, singleWord: false, lstrip: false, rstrip: false, normalized: !special, special });
      ids.push({ content, id, file: 'added_tokens.json' });
    }
    for (const { id, token } of listed) byId.set(id, token);
  }
  const tokens = [...byId].sort(([a], [b]) => a - b).map(([, each]) => each);
  // A named token is special, whatever its record says.
  const result = tokens.map((each) => (specialTexts.has(each.content) ? { ...each, special: true } : each));
  const present = new Set([...listed.map(({ token }) => token), ...result].map(({ content }) => content));
  for (const each of [...names.values(), ...extra]) {
    if (present.has(textOf(each))) continue;
    present.add(textOf(each));
    const isNamed = specialTexts.has(textOf(each));
    result.push(typeof each === 'string' ? specialToken(each) : { ...each, special: each.special || isNamed });
  }
  return {
    tokens: result,
    ids,
    named: Object.fromEntries([...names].map(([name, each]) => [name, textOf(each)])),
  };
}

const textOf = (each: WrittenToken): string => (typeof each === 'string' ? each : each.content);

const specialToken = (content: string): AddedToken => ({
  content,
  singleWord: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** The seven usual names, any other field ..._token that is a token, and extra tokens that are given by name. */
function namedTokens(fields: SpecialTokenFields): Map<string, WrittenToken> {
  const names = new Map<string, WrittenToken>();
  for (const name of NAMED) {
    const each = fields[name];
    if (each !== null && each !== undefined) names.set(name, each);
  }
  for (const [name, each] of Object.entries(fields))
    if (name.endsWith('_token') && typeof each === 'string' && !names.has(name)) names.set(name, each);
  const extra = fields.extra_special_tokens;
  if (extra !== null && extra !== undefined && !Array.isArray(extra))
    for (const [name, each] of Object.entries(extra)) names.set(name, each);
  return names;
}

function extraTokens(config: SpecialTokenFields, map: SpecialTokenFields | undefined): WrittenToken[] {
  const list = (each: SpecialTokenFields['extra_special_tokens']): WrittenToken[] => (Array.isArray(each) ? each : []);
  const own = list(config.extra_special_tokens);
  const first = own.length > 0 ? own : (config.additional_special_tokens ?? []);
  const merged = [...first, ...list(map?.extra_special_tokens)];
  return merged.length > 0 ? merged : (map?.additional_special_tokens ?? []);
}
