import { createChatTemplate, type ChatTemplate } from './chat-template.js';
import { findEndOfTurn, type EndOfTurn } from './end-of-turn.js';
import { ModelError } from './errors.js';
import { createTextStream, type TextStream } from './text-stream.js';
import { aboutFile, readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';
import { tokenizerWarnings } from './tokenizer-warnings.js';
import { createPipeline, type TokenizerPipeline } from './tokenizers/tokenizer-pipeline.js';

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
  /** Special tokens written in the text (`</s>`) become their ids, unless tokenizer_config.json has split_special_tokens. */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The text of ids as it was tokenized; ids beyond the tokenizer's (padding of the embedding) have none.
   * `clean_up_tokenization_spaces` is not applied: it changes the spacing of code and prose, and of a text that is
   * already on the screen. Where transformers would apply it, `warnings` says so.
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
  /** What files say and has no effect, or another than transformers gives it; a line each. */
  readonly warnings: readonly string[];
}

/**
 * Opens the tokenizer in a checkpoint's folder: tokenizer.json, with what tokenizer_config.json, added_tokens.json,
 * special_tokens_map.json, chat_template.jinja, generation_config.json and config.json add. The post-processor of tokenizer.json
 * decides what `encode` adds to a text.
 *
 * @throws ModelError TOKENIZER_INVALID if a file is missing or malformed, TOKENIZER_UNSUPPORTED naming a feature that is
 *   not followed, TOKENIZER_MISMATCH if a token's id does not fit the model's vocabulary
 */
export function openTokenizer(folder: string, options: OpenTokenizerOptions = {}): Tokenizer {
  const files = readTokenizerFiles(folder);
  const tokens = openPipeline(folder, files);
  const vocabularySize = measure(folder, tokens, files, options.vocabularySize);
  const named = namedIds(tokens, files);

  const counts = (id: number, skipSpecialTokens: boolean): boolean => {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new ModelError('BAD_ARGUMENT', `decode: got the token id ${id}, expected a whole number of at least 0.`);
    }
    return tokens.tokenOf(id) !== undefined && !(skipSpecialTokens && tokens.isSpecial(id));
  };

  const eosId = named.get('eos_token');
  const eosIds = [
    ...new Set([...(eosId === undefined ? [] : [eosId]), ...files.generationEosIds, ...files.configEosIds]),
  ];
  const source = options.chatTemplate ?? files.chatTemplate;
  const chatTemplate = source === undefined ? undefined : createChatTemplate(source, files.tokens.named);
  return {
    encode: (text, { addSpecialTokens = true } = {}) => tokens.encode(text, addSpecialTokens),
    decode: (ids, { skipSpecialTokens = true } = {}) =>
      tokens.decode(ids.filter((id) => counts(id, skipSpecialTokens))),
    stream: ({ skipSpecialTokens = true, stop } = {}) =>
      createTextStream({
        decode: tokens.decode,
        counts: (id) => counts(id, skipSpecialTokens),
        stop,
      }),
    vocabularySize,
    bosId: named.get('bos_token'),
    eosId,
    padId: named.get('pad_token'),
    eosIds,
    chatTemplate,
    endOfTurn() {
      if (chatTemplate === undefined) return undefined;
      const added = new Map([...tokens.addedTokens].map(([id, { content }]) => [content, id]));
      if (eosId !== undefined) added.set(files.tokens.named['eos_token']!, eosId);
      const end = findEndOfTurn(chatTemplate, added);
      return end?.id !== undefined && eosIds.includes(end.id) ? undefined : end;
    },
    warnings: tokenizerWarnings(tokens, files),
  };
}

/** tokenizer.json's pipeline with the tokens that other files add. */
export function openPipeline(folder: string, files: TokenizerFiles): TokenizerPipeline {
  const { tokens, splitSpecialTokens } = files;
  return aboutFile(folder, () => createPipeline(files.tokenizer, { more: tokens.tokens, splitSpecialTokens }));
}

function measure(folder: string, tokens: TokenizerPipeline, files: TokenizerFiles, limit = Infinity): number {
  let size = 0;
  let offender: { token: string; id: number } | undefined;
  for (const [token, id] of tokens.vocabulary) {
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

function namedIds(tokens: TokenizerPipeline, files: TokenizerFiles): Map<string, number> {
  const ids = Object.entries(files.tokens.named).map(([name, text]) => [name, tokens.idOf(text)] as const);
  return new Map(ids.filter((entry): entry is [string, number] => entry[1] !== undefined)); // an empty text is no token
}
