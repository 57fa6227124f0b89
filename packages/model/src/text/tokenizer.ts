import { quoteValue, shortList, type CheckpointDocuments } from '@glulam/files';
import { createChatTemplate, type ChatTemplate } from './chat-template.js';
import { findEndOfTurn, type EndOfTurn } from './end-of-turn.js';
import { ModelError } from '../errors.js';
import { createTextStream, type TextStream } from './text-stream.js';
import { aboutFile, readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';
import { tokenizerWarnings } from './tokenizer-warnings.js';
import { createPipeline, type TokenizerPipeline } from './tokenizers/tokenizer-pipeline.js';
import type { TokenIds } from './token-ids.js';
import { documentsOf, type DocumentsOf } from '../checkpoints/documents.js';

interface OpenTokenizerOptions {
  /** Rows of the model's embedding. They may outnumber the tokens (padding); tokens beyond them are refused where a text has one. */
  readonly vocabularySize?: number | undefined;
  /** Jinja source of a chat template in place of the checkpoint's own. */
  readonly chatTemplate?: string | undefined;
  /** What the chat template takes for now, in local time; default the clock, at each rendering. */
  readonly now?: Date | undefined;
}

/** How text becomes ids. */
export interface EncodeOptions {
  /** Add what tokenizer.json's post-processor adds, as a rule the beginning-of-text token; default true. */
  readonly addSpecialTokens?: boolean | undefined;
}

/** How ids become text. */
export interface DecodeOptions {
  /** Leave special tokens out of the text; default true. */
  readonly skipSpecialTokens?: boolean | undefined;
}

interface StreamOptions extends DecodeOptions {
  /** Strings that end the text and are not part of it. */
  readonly stop?: readonly string[] | undefined;
}

/** Text to token ids and back, by a checkpoint's own files. */
export interface Tokenizer {
  /**
   * Special tokens written in the text (`</s>`) become their ids, unless tokenizer_config.json has split_special_tokens.
   *
   * @throws ModelError TOKENIZER_MISMATCH if a token's id is beyond the model's embedding
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * The text of ids as it was tokenized. Ids beyond the tokenizer's but within the model's embedding (its padding, which a
   * model may generate) have none; those beyond both are refused, where transformers gives them no text either. Without
   * `OpenTokenizerOptions.vocabularySize` the embedding is not known, and nothing is refused for its size.
   * `clean_up_tokenization_spaces` is not applied: it changes the spacing of code and prose, and of a text that is
   * already on the screen. Where transformers would apply it, `warnings` says so.
   *
   * @throws ModelError BAD_ARGUMENT if an id is not a whole number of at least 0, or neither the tokenizer nor the model has it
   */
  decode(ids: TokenIds, options?: DecodeOptions): string;
  /** Decodes while ids come: the texts it gives, joined, are `decode` of all ids, up to the stop string. */
  stream(options?: StreamOptions): TextStream;
  /** What it was opened from. */
  readonly documents: CheckpointDocuments;
  /** The largest id and one. */
  readonly vocabularySize: number;
  /** Id of `bos_token`; undefined: there is none, or it is not in the vocabulary. */
  readonly bosId: number | undefined;
  /** Id of `eos_token`; undefined: there is none, or it is not in the vocabulary. */
  readonly eosId: number | undefined;
  /** Id of `pad_token`; undefined: there is none, or it is not in the vocabulary. */
  readonly padId: number | undefined;
  /**
   * Every id that ends a generation, as far as the model has them: the tokenizer's, and those of generation_config.json
   * or else of config.json.
   */
  readonly eosIds: readonly number[];
  /** As `OpenTokenizerOptions.vocabularySize`; undefined: not known. */
  readonly embeddingRows: number | undefined;
  /** The checkpoint's own, or the one that it was opened with; undefined: neither. */
  readonly chatTemplate: ChatTemplate | undefined;
  /** What ends an assistant's turn in the chat template, where `eosIds` does not have it already. Renders the template. */
  endOfTurn(): EndOfTurn | undefined;
  /** For users, a line each: what files say and has no effect, or another than transformers gives it, and tokens without an embedding. */
  readonly warnings: readonly string[];
}

/**
 * Opens the tokenizer of a checkpoint, a folder or its documents: tokenizer.json, with what tokenizer_config.json, added_tokens.json,
 * special_tokens_map.json, chat_template.jinja, generation_config.json and config.json add. The post-processor of tokenizer.json
 * decides what `encode` adds to a text.
 *
 * @throws ModelError TOKENIZER_INVALID if a file is missing or malformed, TOKENIZER_UNSUPPORTED naming a feature that is
 *   not followed
 */
export function openTokenizer(base: DocumentsOf, options: OpenTokenizerOptions = {}): Tokenizer {
  const documents = documentsOf(base);
  const { folder } = documents;
  const files = readTokenizerFiles(documents);
  const tokens = openPipeline(documents, files);
  const embeddingRows = options.vocabularySize;
  const { vocabularySize, beyond } = measure(tokens, embeddingRows);
  const named = namedIds(tokens, files);

  const counts = (id: number, skipSpecialTokens: boolean): boolean => {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new ModelError('BAD_ARGUMENT', `decode: got the token id ${id}, expected a whole number of at least 0.`);
    }
    if (embeddingRows !== undefined && id >= Math.max(embeddingRows, vocabularySize))
      throw new ModelError(
        'BAD_ARGUMENT',
        `decode: got the token id ${id}, but the vocabulary of ${folder} ends at ${Math.max(embeddingRows, vocabularySize) - 1}; were the ids made by another model's tokenizer?`,
      );
    return tokens.tokenOf(id) !== undefined && !(skipSpecialTokens && tokens.isSpecial(id));
  };

  const eosId = named.get('eos_token');
  const namedEnds = new Set([
    ...(eosId === undefined ? [] : [eosId]),
    ...files.generationEosIds,
    ...files.configEosIds,
  ]);
  const eosIds = [...namedEnds].filter((id) => id < (embeddingRows ?? Infinity));
  const checked = (text: string, ids: number[]): number[] => {
    const id = embeddingRows === undefined ? undefined : ids.find((each) => each >= embeddingRows);
    if (id === undefined) return ids;
    const isAdded = !tokens.encode(text, false).includes(id);
    const token = `${JSON.stringify(tokens.tokenOf(id))} (id ${id})`;
    throw beyondEmbedding(folder, token, embeddingRows!, isAdded ? undefined : text);
  };
  const source = options.chatTemplate ?? files.chatTemplate;
  const chatTemplate = source === undefined ? undefined : createChatTemplate(source, files.tokens.named, options.now);
  return {
    encode: (text, { addSpecialTokens = true } = {}) => checked(text, tokens.encode(text, addSpecialTokens)),
    decode: (ids, { skipSpecialTokens = true } = {}) =>
      tokens.decode(Array.from(ids).filter((id) => counts(id, skipSpecialTokens))),
    stream: ({ skipSpecialTokens = true, stop } = {}) =>
      createTextStream({
        decode: tokens.decode,
        counts: (id) => counts(id, skipSpecialTokens),
        stop,
      }),
    documents,
    vocabularySize,
    bosId: named.get('bos_token'),
    eosId,
    padId: named.get('pad_token'),
    eosIds,
    embeddingRows,
    chatTemplate,
    endOfTurn() {
      if (chatTemplate === undefined) return undefined;
      const added = new Map([...tokens.addedTokens].map(([id, { content }]) => [content, id]));
      if (eosId !== undefined) added.set(files.tokens.named['eos_token']!, eosId);
      const end = findEndOfTurn(chatTemplate, added);
      return end?.id !== undefined && eosIds.includes(end.id) ? undefined : end;
    },
    warnings: [...tokenizerWarnings(tokens, files), ...describeBeyond(folder, beyond, [...namedEnds], embeddingRows)],
  };
}

/** tokenizer.json's pipeline with the tokens that other files add. */
export function openPipeline(base: DocumentsOf, files: TokenizerFiles): TokenizerPipeline {
  const { tokens, splitSpecialTokens } = files;
  const pipeline = aboutFile(base, () => createPipeline(files.tokenizer, { more: tokens.tokens, splitSpecialTokens }));
  return {
    ...pipeline,
    encode: (text, addSpecialTokens) => aboutFile(base, () => pipeline.encode(text, addSpecialTokens)),
    decode: (ids) => aboutFile(base, () => pipeline.decode(ids)),
  };
}

/** The largest id and one, and the tokens whose ids are beyond the embedding's rows, in order. */
function measure(
  tokens: TokenizerPipeline,
  rows = Infinity,
): { readonly vocabularySize: number; readonly beyond: readonly string[] } {
  const beyond = new Map<number, string>();
  let vocabularySize = 0;
  for (const [token, id] of tokens.vocabulary) {
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
    ...(ends.length === 0
      ? []
      : [`the model never ends a text with ${ends.length === 1 ? 'id' : 'ids'} ${ends.join(', ')}`]),
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

function namedIds(tokens: TokenizerPipeline, files: TokenizerFiles): Map<string, number> {
  const ids = Object.entries(files.tokens.named).map(([name, text]) => [name, tokens.idOf(text)] as const);
  return new Map(ids.filter((entry): entry is [string, number] => entry[1] !== undefined)); // an empty text is no token
}
