import { ggufValue, shortList, type CheckpointDocuments, type GgufValue } from '@glulam/files';
import {
  createNormalizer,
  findEndOfTurn,
  openPipeline,
  openTokenizer,
  readTokenizerFiles,
  type AddedToken,
  type Normalizer,
  type Tokenizer,
} from '@glulam/model';
import { z } from 'zod';
import { ExportError } from '../errors.js';
import { byteLevelPreTokenizer, sentencePieceScores, unsupported } from './gguf-vocabulary.js';

const { bool, float32s, int32s, string, strings, uint32 } = ggufValue;

const pair = z.union([z.tuple([z.string(), z.string()]), z.string().transform(splitMerge)]);
const bpeSchema = z.looseObject({
  type: z.literal('BPE'),
  vocab: z.record(z.string(), z.int().min(0)),
  merges: z.array(pair),
  unk_token: z.string().nullish(),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
});
const fileSchema = z.looseObject({
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  model: bpeSchema,
});
export type BpeFile = z.output<typeof fileSchema>;

/** llama.cpp's kinds of tokens (`llama_token_type`). */
const kinds = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

interface GgufTokenizer {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** What the file's tokenizer lacks of the checkpoint's. */
  readonly notes: readonly string[];
}

/**
 * The tokenizer of a checkpoint as GGUF's metadata has it, and the chat template; a folder without any says so.
 * llama.cpp has as many tokens as the embedding has rows: added tokens beyond them are left out, since the model takes no
 * text that has one; tokens of the vocabulary beyond them are refused, since merges make them of any text.
 *
 * @throws ExportError GGUF_UNSUPPORTED where llama.cpp would split text otherwise than tokenizer.json does
 */
export function tokenizerMetadata(
  documents: CheckpointDocuments,
  vocabularySize: number,
  chatTemplate: string | undefined,
): GgufTokenizer {
  const file = documents.locate('tokenizer.json');
  if (!documents.has('tokenizer.json') && !documents.has('tokenizer.model'))
    return {
      metadata: new Map([['tokenizer.ggml.model', string('none')]]),
      notes: ['the base has no tokenizer, so the file has none: it takes token ids only'],
    };
  const tokenizer = openTokenizer(documents, { vocabularySize, chatTemplate });
  const files = readTokenizerFiles(documents);
  const { model } = files.tokenizer as { model?: { type?: unknown } };
  if (model?.type !== 'BPE') throw unsupported(`its model is ${JSON.stringify(model?.type)}; expected "BPE"`);
  const parsed = fileSchema.safeParse(files.tokenizer);
  if (!parsed.success) throw new ExportError('TOKENIZER_INVALID', `${file}: ${z.prettifyError(parsed.error)}`);
  const data = parsed.data;
  const added = openPipeline(documents, files).addedTokens;
  const normalizer = createNormalizer(data.normalizer);
  for (const token of added.values()) checkAddedToken(token, normalizer);

  const left = [...added].filter(([id]) => id >= vocabularySize).map(([id, { content }]) => ({ id, content }));
  const isAdded = new Set(left.map(({ content }) => content));
  const isMade = new Set(data.model.merges.map(([a, b]) => a + b));
  const merged = Object.entries(data.model.vocab).find(
    ([text, id]) => id >= vocabularySize && (!isAdded.has(text) || isMade.has(text)),
  );
  if (merged !== undefined)
    throw unsupported(
      `its token ${JSON.stringify(merged[0])} (id ${merged[1]}) is beyond the model's embedding, which has ${vocabularySize} rows (vocab_size)`,
    );
  const unknown = files.tokens.named['unk_token'] ?? data.model.unk_token ?? undefined;
  const { tokens, tokenTypes } = vocabularyOf(data, added, vocabularySize, unknown);
  const bytewise = !data.model.byte_fallback;
  const pre = bytewise ? byteLevelPreTokenizer(data) : 'default';
  const spaces = bytewise ? undefined : sentencePieceScores(data, tokens);
  // Where the tokenizer names no end token, generation_config.json or config.json does.
  const eosId = tokenizer.eosIds[0];
  const eotId = endOfTurnId(tokenizer, added, files.tokens.named['eos_token']);
  const ids = [
    ['bos', tokenizer.bosId],
    ['eos', eosId],
    ['eot', eotId === eosId ? undefined : eotId],
    ['unknown', unknown === undefined ? undefined : data.model.vocab[unknown]],
    ['padding', tokenizer.padId],
  ] as const;
  const { addsBos, addsEos } = addedAround(tokenizer.encode(''), tokenizer.bosId, eosId);
  const template = chatTemplate ?? files.chatTemplate;
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', string(bytewise ? 'gpt2' : 'llama')],
    ['tokenizer.ggml.pre', string(pre)],
    ['tokenizer.ggml.tokens', strings(tokens)],
    ['tokenizer.ggml.token_type', int32s(tokenTypes)],
    ...(spaces === undefined
      ? ([['tokenizer.ggml.merges', strings(data.model.merges.map(([a, b]) => `${a} ${b}`))]] as const)
      : ([
          ['tokenizer.ggml.scores', float32s(spaces.scores)],
          ['tokenizer.ggml.add_space_prefix', bool(spaces.prefix)],
        ] as const)),
    ...ids.flatMap(([name, id]) =>
      id === undefined || id >= vocabularySize ? [] : [[`tokenizer.ggml.${name}_token_id`, uint32(id)] as const],
    ),
    ['tokenizer.ggml.add_bos_token', bool(addsBos)],
    ['tokenizer.ggml.add_eos_token', bool(addsEos)],
    ...(template === undefined ? [] : [['tokenizer.chat_template', string(template)] as const]),
  ]);
  const names = left.map(({ content, id }) => `${JSON.stringify(content)} (id ${id})`);
  const otherEnds = tokenizer.eosIds.filter((id) => id !== eosId && id !== eotId);
  const notes = [
    ...(names.length > 0
      ? [
          `tokens beyond the model's embedding, which has ${vocabularySize} rows, are left out of the file: ${shortList(names)}`,
        ]
      : []),
    ...(otherEnds.length > 0
      ? [
          `the file names one end token, ${eosId}, and one that ends a turn; the model also ends at ${otherEnds.join(', ')}`,
        ]
      : []),
  ];
  return { metadata, notes };
}

/** The token that ends an assistant's turn in the chat template. */
function endOfTurnId(
  { chatTemplate, eosId }: Tokenizer,
  added: ReadonlyMap<number, AddedToken>,
  eosText: string | undefined,
): number | undefined {
  if (chatTemplate === undefined) return undefined;
  const ids = new Map([...added].map(([id, { content }]) => [content, id]));
  if (eosId !== undefined && eosText !== undefined) ids.set(eosText, eosId);
  return findEndOfTurn(chatTemplate, ids)?.id;
}

/** Each id's text and kind; ids of the embedding that no token has are unused. */
function vocabularyOf(
  { model }: BpeFile,
  added: ReadonlyMap<number, AddedToken>,
  size: number,
  unknown: string | undefined,
): { tokens: string[]; tokenTypes: number[] } {
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const tokenTypes = new Array<number>(size).fill(kinds.unused);
  const put = (id: number, text: string, kind: number): void => {
    if (id >= size) return; // see `tokenizerMetadata`
    tokens[id] = text;
    tokenTypes[id] = kind;
  };
  for (const [text, id] of Object.entries(model.vocab))
    put(id, text, model.byte_fallback && /^<0x[0-9A-F]{2}>$/.test(text) ? kinds.byte : kinds.normal);
  for (const [id, { content, special }] of added) put(id, content, special ? kinds.control : kinds.userDefined);
  const unknownId = unknown === undefined ? undefined : model.vocab[unknown];
  if (unknownId !== undefined && unknownId < size) tokenTypes[unknownId] = kinds.unknown;
  return { tokens, tokenTypes };
}

/** llama.cpp looks for added tokens in the text as it is written, and takes no more of it than the token. */
function checkAddedToken(token: AddedToken, normalizer: Normalizer | undefined): void {
  const { content, singleWord, lstrip, rstrip, normalized } = token;
  const flags = Object.entries({ single_word: singleWord, lstrip, rstrip }).flatMap(([flag, set]) =>
    set ? [flag] : [],
  );
  if (flags.length > 0) throw unsupported(`the added token ${JSON.stringify(content)} has ${flags.join(' and ')}`);
  const looked = normalized && normalizer !== undefined ? normalizer(content) : content;
  if (looked !== content)
    throw unsupported(
      `the added token ${JSON.stringify(content)} has normalized: it is found where normalized text has ${JSON.stringify(looked)}`,
    );
}

/** What the post-processor puts around a text, as seen from an empty one. */
function addedAround(
  ids: readonly number[],
  bos: number | undefined,
  eos: number | undefined,
): { addsBos: boolean; addsEos: boolean } {
  const addsBos = ids.length > 0 && ids[0] === bos;
  const rest = addsBos ? ids.slice(1) : ids;
  const addsEos = rest.length > 0 && rest[0] === eos;
  if (rest.length > (addsEos ? 1 : 0))
    throw unsupported(
      `its post-processor adds the tokens ${ids.join(', ')}; expected bos before and eos behind at most`,
    );
  return { addsBos, addsEos };
}

function splitMerge(text: string): [string, string] {
  const at = text.indexOf(' ', 1);
  return [text.slice(0, at), text.slice(at + 1)];
}
