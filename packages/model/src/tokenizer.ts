import * as library from '@huggingface/tokenizers';
import { createChatTemplate, type ChatTemplate } from './chat-template.js';
import { shortList } from './short-list.js';
import { ModelError } from './errors.js';
import { quoteValue } from './quote-value.js';
import { createTextStream, type TextStream } from './text-stream.js';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';

export interface OpenTokenizerOptions {
  /** Rows of the model's embedding. They may outnumber the tokens (padding); tokens beyond them are refused where a text has one. */
  readonly vocabularySize?: number | undefined;
  /** Jinja source of a chat template in place of the checkpoint's own. */
  readonly chatTemplate?: string | undefined;
}

export interface EncodeOptions {
  /** Add what tokenizer.json's post-processor adds, as a rule the beginning-of-text token; default true. */
  readonly addSpecialTokens?: boolean | undefined;
}

export interface DecodeOptions {
  /** Leave special tokens out of the text; default true. */
  readonly skipSpecialTokens?: boolean | undefined;
}

export interface StreamOptions extends DecodeOptions {
  /** Strings that end the text and are not part of it. */
  readonly stop?: readonly string[] | undefined;
}

/** Text to token ids and back, by a checkpoint's own files. */
export interface Tokenizer {
  /**
   * Special tokens written in the text (`</s>`) become their ids, as in transformers.
   *
   * @throws ModelError TOKENIZER_MISMATCH if a token's id is beyond the model's embedding
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The text of ids as it was tokenized; ids beyond the tokenizer's (padding of the embedding) have none.
   * `clean_up_tokenization_spaces` is not applied: it changes the spacing of code and prose, and of a text that is
   * already on the screen.
   *
   * @throws ModelError BAD_ARGUMENT if an id is not a whole number of at least 0
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Decodes while ids come: the texts it gives, joined, are `decode` of all ids, up to the stop string. */
  stream(options?: StreamOptions): TextStream;
  /** The largest id and one. */
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  /** Every id that ends a generation: the tokenizer's and those of generation_config.json, as far as the model has them. */
  readonly eosIds: readonly number[];
  /** As `OpenTokenizerOptions.vocabularySize`; undefined: not known. */
  readonly embeddingRows: number | undefined;
  /** For users: tokens that the model has no embedding for. */
  readonly warnings: readonly string[];
  readonly chatTemplate: ChatTemplate | undefined;
}

// The part of the library's class that is used here. Its own types do not resolve in an ES module (their relative
// imports have no file extension).
interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_added_tokens_decoder(): Map<number, { content: string; special: boolean }>;
  get_vocab(): Map<string | undefined, number>;
}

/**
 * Opens the tokenizer in a checkpoint's folder: tokenizer.json, with what tokenizer_config.json,
 * special_tokens_map.json, chat_template.jinja and generation_config.json add. What `encode` adds to a text is
 * tokenizer.json's to say (its post-processor).
 *
 * @throws ModelError TOKENIZER_INVALID if a file is missing or malformed
 */
export function openTokenizer(folder: string, options: OpenTokenizerOptions = {}): Tokenizer {
  const files = readTokenizerFiles(folder);
  const tokens = load(folder, files);
  const embeddingRows = options.vocabularySize;
  const { vocabularySize, beyond } = measure(folder, tokens, embeddingRows);
  const named = namedIds(folder, tokens, files);

  const special = new Set<number>(named.values());
  for (const [id, token] of tokens.get_added_tokens_decoder()) {
    if (token.special || files.additionalSpecialTokens.includes(token.content)) special.add(id);
  }
  const counts = (id: number, skipSpecialTokens: boolean): boolean => {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new ModelError('BAD_ARGUMENT', `decode: got the token id ${id}, expected a whole number of at least 0.`);
    }
    return tokens.id_to_token(id) !== undefined && !(skipSpecialTokens && special.has(id));
  };
  // Of tokens that count, never none: the library refuses an empty list.
  const decodeAll = (ids: readonly number[]): string =>
    tokens.decode([...ids], { skip_special_tokens: false, clean_up_tokenization_spaces: false });

  const eosId = named.get('eos_token');
  const eosIds = new Set([...(eosId === undefined ? [] : [eosId]), ...files.generationEosIds]);
  const checked = (text: string, ids: number[]): number[] => {
    const id = ids.find((each) => each >= (embeddingRows ?? Infinity));
    if (id === undefined) return ids;
    const isAdded = !tokens.encode(text, { add_special_tokens: false }).ids.includes(id);
    const token = `${JSON.stringify(tokens.id_to_token(id))} (id ${id})`;
    throw beyondEmbedding(folder, token, embeddingRows!, isAdded ? undefined : text);
  };
  const template = options.chatTemplate ?? files.chatTemplate;
  return {
    encode: (text, { addSpecialTokens = true } = {}) =>
      checked(text, tokens.encode(text, { add_special_tokens: addSpecialTokens }).ids),
    decode(ids, { skipSpecialTokens = true } = {}) {
      const counted = ids.filter((id) => counts(id, skipSpecialTokens));
      return counted.length === 0 ? '' : decodeAll(counted);
    },
    stream: ({ skipSpecialTokens = true, stop } = {}) =>
      createTextStream({ decode: decodeAll, counts: (id) => counts(id, skipSpecialTokens), stop }),
    vocabularySize,
    bosId: named.get('bos_token'),
    eosId,
    padId: named.get('pad_token'),
    eosIds: [...eosIds].filter((id) => id < (embeddingRows ?? Infinity)),
    embeddingRows,
    warnings: describeBeyond(folder, beyond, [...eosIds], embeddingRows),
    chatTemplate: template === undefined ? undefined : createChatTemplate(template, files.specialTokens),
  };
}

function load(folder: string, files: TokenizerFiles): LibraryTokenizer {
  try {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-call -- the library's types do not resolve in an ES module
    const tokens = new library.Tokenizer(files.tokenizer, {
      ...files.config,
      additional_special_tokens: files.additionalSpecialTokens,
    }) as LibraryTokenizer;
    const added = tokens.encode('', { add_special_tokens: true }).ids;
    if (added.includes(undefined as never)) throw new Error('its post-processor adds a token that it does not hold');
    return tokens;
  } catch (error) {
    throw new ModelError(
      'TOKENIZER_INVALID',
      `${folder}: tokenizer.json cannot be used: ${(error as Error).message}. Expected the format of Hugging Face's ` +
        'tokenizers library, with normalizer, pre_tokenizer, model, post_processor, decoder and added_tokens.',
      { cause: error },
    );
  }
}

/** The largest id and one, and the tokens whose ids are beyond the embedding's rows, in order. */
function measure(
  folder: string,
  tokens: LibraryTokenizer,
  rows = Infinity,
): { readonly vocabularySize: number; readonly beyond: readonly string[] } {
  const beyond = new Map<number, string>();
  let vocabularySize = 0;
  const added = [...tokens.get_added_tokens_decoder()].map(([id, { content }]) => [content, id] as const);
  for (const [token, id] of [...tokens.get_vocab(), ...added]) {
    if (!Number.isSafeInteger(id) || id < 0)
      throw new ModelError(
        'TOKENIZER_INVALID',
        `${folder}: tokenizer.json gives the token ${quoteValue(token)} the id ${quoteValue(id)}; expected a whole number of at least 0: fetch it again.`,
      );
    if (token === undefined) continue; // a gap in the numbering
    vocabularySize = Math.max(vocabularySize, id + 1);
    if (id >= rows) beyond.set(id, token);
  }
  const ordered = [...beyond].sort(([a], [b]) => a - b);
  return { vocabularySize, beyond: ordered.map(([id, token]) => `${JSON.stringify(token)} (id ${id})`) };
}

/** What a user should know of tokens that the model has no embedding for, in one line. */
function describeBeyond(
  folder: string,
  beyond: readonly string[],
  endIds: readonly number[],
  rows = Infinity,
): readonly string[] {
  const ends = endIds.filter((id) => id >= rows);
  if (beyond.length === 0 && ends.length === 0) return [];
  const found =
    beyond.length === 0
      ? `generation_config.json names an end token (id ${ends.join(', ')}) beyond the model's embedding, which has ${rows} rows (vocab_size)`
      : `the tokenizer has ${beyond.length === 1 ? 'a token' : `${beyond.length} tokens`} beyond the model's embedding, which has ${rows} rows (vocab_size): ${shortList(beyond)}`;
  const effect = [
    ...(beyond.length === 0 ? [] : ['a text that has one is refused']),
    ...(ends.length === 0 ? [] : [`the model never ends a text with ${ends.length === 1 ? 'id' : 'ids'} ${ends.join(', ')}`]), // prettier-ignore
  ];
  return [`${folder}: ${found}; ${effect.join(', and ')}`];
}

/** The fault of a token (as a message names it) that a text has, or every text gets, and the model has no embedding for. */
function beyondEmbedding(folder: string, token: string, rows: number, text: string | undefined): ModelError {
  const at = text === undefined ? 'its post-processor adds it to every text' : `it is in the text ${quoteValue(text)}`;
  return new ModelError(
    'TOKENIZER_MISMATCH',
    `${folder}: the token ${token} is beyond the model's embedding, which has ${rows} rows (vocab_size), and ${at}. ` +
      'Leave the token out, use the tokenizer that belongs to this checkpoint, or enlarge the embedding ' +
      '(resize_token_embeddings of transformers) and save the checkpoint again.',
  );
}

function namedIds(folder: string, tokens: LibraryTokenizer, files: TokenizerFiles): Map<string, number> {
  const ids = new Map<string, number>();
  const faults: string[] = [];
  for (const [name, text] of Object.entries(files.specialTokens)) {
    const id = tokens.token_to_id(text);
    if (id === undefined) faults.push(`${name} is ${JSON.stringify(text)}`);
    else ids.set(name, id);
  }
  if (faults.length > 0) {
    throw new ModelError(
      'TOKENIZER_INVALID',
      `${folder}: tokenizer_config.json or special_tokens_map.json names tokens that tokenizer.json does not hold: ` +
        `${faults.join(', ')}. Correct the name, or add the token to tokenizer.json's added_tokens.`,
    );
  }
  return ids;
}
