import * as library from '@huggingface/tokenizers';
import { createChatTemplate, type ChatTemplate } from './chat-template.js';
import { findEndOfTurn, type EndOfTurn } from './end-of-turn.js';
import { ModelError } from './errors.js';
import { quoteValue } from './quote-value.js';
import { createTextStream, type TextStream } from './text-stream.js';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';

export interface OpenTokenizerOptions {
  /** Rows of the model's embedding. They may outnumber the tokens (padding), never the other way round. */
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
  /** Special tokens written in the text (`</s>`) become their ids, as in transformers. */
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
  /** Every id that ends a generation: the tokenizer's, and those of generation_config.json or else of config.json. */
  readonly eosIds: readonly number[];
  readonly chatTemplate: ChatTemplate | undefined;
  /** What ends an assistant's turn in the chat template, where `eosIds` does not have it already. Renders the template. */
  endOfTurn(): EndOfTurn | undefined;
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
 * special_tokens_map.json, chat_template.jinja, generation_config.json and config.json add. What `encode` adds to a text is
 * tokenizer.json's to say (its post-processor).
 *
 * @throws ModelError TOKENIZER_INVALID if a file is missing or malformed, TOKENIZER_MISMATCH if a token's id does not fit
 *   the model's vocabulary
 */
export function openTokenizer(folder: string, options: OpenTokenizerOptions = {}): Tokenizer {
  const files = readTokenizerFiles(folder);
  const tokens = load(folder, files);
  const vocabularySize = measure(folder, tokens, files, options.vocabularySize);
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
  const eosIds = [
    ...new Set([...(eosId === undefined ? [] : [eosId]), ...files.generationEosIds, ...files.configEosIds]),
  ];
  const source = options.chatTemplate ?? files.chatTemplate;
  const chatTemplate = source === undefined ? undefined : createChatTemplate(source, files.specialTokens);
  return {
    encode: (text, { addSpecialTokens = true } = {}) =>
      tokens.encode(text, { add_special_tokens: addSpecialTokens }).ids,
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
    eosIds,
    chatTemplate,
    endOfTurn() {
      if (chatTemplate === undefined) return undefined;
      const added = new Map([...tokens.get_added_tokens_decoder()].map(([id, { content }]) => [content, id]));
      if (eosId !== undefined) added.set(files.specialTokens.eos_token!, eosId);
      const end = findEndOfTurn(chatTemplate, added);
      return end?.id !== undefined && eosIds.includes(end.id) ? undefined : end;
    },
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

function measure(folder: string, tokens: LibraryTokenizer, files: TokenizerFiles, limit = Infinity): number {
  let size = 0;
  let offender: { token: string; id: number } | undefined;
  const added = [...tokens.get_added_tokens_decoder()].map(([id, { content }]) => [content, id] as const);
  for (const [token, id] of [...tokens.get_vocab(), ...added]) {
    if (!Number.isSafeInteger(id) || id < 0)
      throw new ModelError(
        'TOKENIZER_INVALID',
        `${folder}: tokenizer.json gives the token ${quoteValue(token)} the id ${quoteValue(id)}; expected a whole number of at least 0: fetch it again.`,
      );
    if (token === undefined) continue; // a gap in the numbering
    size = Math.max(size, id + 1);
    if (id >= limit && id < (offender?.id ?? Infinity)) offender = { token, id };
  }
  const mismatch = (what: string): ModelError =>
    new ModelError(
      'TOKENIZER_MISMATCH',
      `${folder}: the tokenizer does not fit the model: the tokenizer has ${size} tokens, the model's vocabulary (vocab_size) ` +
        `${limit}, and ${what} is beyond it. Use the tokenizer that belongs to this checkpoint; if tokens were added to ` +
        'it, the embedding has to be enlarged and the checkpoint saved again.',
    );
  if (offender !== undefined) throw mismatch(`token ${JSON.stringify(offender.token)} with id ${offender.id}`);
  const end = files.generationEosIds.find((id) => id >= limit);
  if (end !== undefined) throw mismatch(`generation_config.json's eos_token_id ${end}`);
  return size;
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
