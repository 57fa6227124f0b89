import { z } from 'zod';
import { createAddedVocabulary, readAddedTokens, type AddedToken } from './added-vocabulary.js';
import { invalid } from './component.js';
import { createDecoder, type TokenDecoder } from './steps/decoders.js';
import { checkMade } from './steps/made-text.js';
import { createNormalizer, type Normalizer } from './steps/normalizers.js';
import { readPostProcessor } from './steps/post-processors.js';
import { createPreTokenizer, type Piece, type PreTokenizer } from './steps/pre-tokenizers.js';
import { limitRegexes } from './patterns/regex-limit.js';
import { createTokenModel, type TokenModel } from './models/token-model.js';

/** What tokenizer.json says, as Python's tokenizers library computes it. */
export interface TokenizerPipeline {
  readonly modelType: TokenModel['type'];
  encode(text: string, addSpecialTokens: boolean): number[];
  /** The text of ids; ids that no token has are left out. */
  decode(ids: readonly number[]): string;
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  isSpecial(id: number): boolean;
  /** Every token and its id, the model's and the added ones. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly addedTokens: ReadonlyMap<number, AddedToken>;
}

interface PipelineOptions {
  /** Tokens that other files add after tokenizer.json's. */
  readonly more?: readonly AddedToken[] | undefined;
  /** Special tokens written in text are text (transformers' `split_special_tokens`); default false. */
  readonly splitSpecialTokens?: boolean | undefined;
}

const fileSchema = z.looseObject({
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: z.unknown().optional(),
  decoder: z.unknown().optional(),
  model: z.unknown().optional(),
});

/**
 * Makes the pipeline of a tokenizer.json. Its `truncation` and `padding` are not followed, as in transformers, where
 * the caller asks for either.
 *
 * @throws ModelError TOKENIZER_INVALID if the file contradicts itself, TOKENIZER_UNSUPPORTED naming a feature that is not
 *   followed
 */
export function createPipeline(value: object, options: PipelineOptions = {}): TokenizerPipeline {
  try {
    return pipelineOf(value, options);
  } catch (error) {
    if (error instanceof RangeError && /call stack/.test(error.message)) throw invalid('it is nested too deep');
    throw error;
  }
}

function pipelineOf(value: object, options: PipelineOptions): TokenizerPipeline {
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const file = parsed.data;
  const model = createTokenModel(file.model);
  const normalizer = limitNormalizer(createNormalizer(file.normalizer), file.normalizer);
  const preTokenizer = limitPreTokenizer(createPreTokenizer(file.pre_tokenizer), file.pre_tokenizer);
  const decoder = limitDecoder(createDecoder(file.decoder), file.decoder);
  const around = readPostProcessor(file.post_processor);

  const added = createAddedVocabulary(model);
  added.add(readAddedTokens(value).map(({ token }) => token));
  added.add(options.more ?? []);
  const finder = added.finder(normalizer, options.splitSpecialTokens ?? false);

  const tokens = new Map<number, string>();
  for (const [token, id] of model.vocabulary) tokens.set(id, token);
  // A token that is looked for in normalized text is shown as it stands there.
  for (const [id, { content }] of added.tokens())
    tokens.set(id, normalizer !== undefined && added.isNormalized(content) ? normalizer(content) : content);
  const vocabulary = new Map(model.vocabulary);
  for (const [id, { content }] of added.tokens()) vocabulary.set(content, id);

  const tokenize = (piece: Piece, push: (id: number) => void): void => {
    const pieces = preTokenizer === undefined ? [piece] : preTokenizer([piece]);
    for (const { text } of pieces) for (const id of model.tokenize(text)) push(id);
  };
  return {
    modelType: model.type,
    encode(text, addSpecialTokens) {
      const ids: number[] = addSpecialTokens ? [...around.before] : [];
      const push = (id: number): void => void ids.push(id);
      const whole = text.replace(/\p{Surrogate}/gu, '\uFFFD');
      for (const { start, end, id } of finder.inWritten(whole)) {
        if (id !== undefined) push(id);
        else if (start < end) {
          const written = whole.slice(start, end);
          const normal = normalizer === undefined ? written : normalizer(written);
          const atStart = start === 0 ? startOf(written, normal, normalizer) : 0;
          for (const part of finder.inNormalized(normal)) {
            if (part.id !== undefined) push(part.id);
            else if (part.start < part.end)
              tokenize({ text: normal.slice(part.start, part.end), atStart: Math.max(0, atStart - part.start) }, push);
          }
        }
      }
      if (addSpecialTokens) for (const id of around.after) push(id);
      return ids;
    },
    decode: (ids) => decoder(ids.map((id) => tokens.get(id)).filter((token) => token !== undefined)),
    idOf: (token) => added.idOf(token),
    tokenOf: (id) => tokens.get(id),
    isSpecial(id) {
      const token = tokens.get(id);
      return token !== undefined && added.isSpecial(token);
    },
    vocabulary,
    addedTokens: added.tokens(),
  };
}

/** How many units of normalized text come from the first character: none if the normalizer takes it away. */
function startOf(written: string, normal: string, normalizer: Normalizer | undefined): number {
  const first = String.fromCodePoint(written.codePointAt(0)!);
  if (normalizer === undefined || normal === written) return first.length;
  const made = normalizer(first);
  return normal.startsWith(made) ? made.length : 1;
}

function limitNormalizer(normalizer: Normalizer | undefined, part: unknown): Normalizer | undefined {
  const limit = limitRegexes(part);
  return normalizer && ((text) => limit(text.length, () => normalizer(text)));
}

function limitPreTokenizer(preTokenizer: PreTokenizer | undefined, part: unknown): PreTokenizer | undefined {
  const limit = limitRegexes(part);
  const lengthOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, { text }) => sum + text.length, 0);
  return preTokenizer && ((pieces) => limit(lengthOf(pieces), () => preTokenizer(pieces)));
}

/** The decoded text of tokens. */
function limitDecoder(decoder: TokenDecoder, part: unknown): (tokens: string[]) => string {
  const limit = limitRegexes(part);
  const lengthOf = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length, 0);
  return (tokens) => {
    const length = lengthOf(tokens);
    const parts = limit(length, () => decoder(tokens));
    checkMade(lengthOf(parts), length);
    return parts.join('');
  };
}
