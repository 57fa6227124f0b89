import { z } from 'zod';
import { createBpe } from './bpe.js';
import { invalid, unsupported, type Component } from '../component.js';
import { createUnigram } from './unigram.js';
import { createWordLevel, createWordPiece } from './word-models.js';

/** Turns a piece of normalized text into token ids. */
export interface TokenModel {
  readonly type: 'BPE' | 'Unigram' | 'WordPiece' | 'WordLevel';
  tokenize(text: string): readonly number[];
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Number of entries: the first added token's id. */
  readonly size: number;
}

const objectSchema = z.looseObject({ type: z.string().optional() });

/** tokenizer.json's `model`. */
export function createTokenModel(value: unknown): TokenModel {
  const result = objectSchema.safeParse(value);
  if (!result.success) throw invalid('it has no model');
  const component: Component = { ...result.data, type: result.data.type ?? guessType(result.data) };
  switch (component.type) {
    case 'BPE':
      return createBpe(component);
    case 'Unigram':
      return createUnigram(component);
    case 'WordPiece':
      return createWordPiece(component);
    case 'WordLevel':
      return createWordLevel(component);
    default:
      throw unsupported(`the model ${component.type}`);
  }
}

// Old files do not name the type.
function guessType(model: Record<string, unknown>): string {
  if ('merges' in model) return 'BPE';
  if (Array.isArray(model['vocab'])) return 'Unigram';
  return 'max_input_chars_per_word' in model ? 'WordPiece' : 'WordLevel';
}
