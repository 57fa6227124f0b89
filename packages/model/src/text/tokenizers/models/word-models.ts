import { z } from 'zod';
import { readOptions, type Component } from '../component.js';
import { withCache } from './piece-cache.js';
import type { TokenModel } from './token-model.js';
import { missingUnknown, readVocabulary } from './vocabulary.js';

const wordPieceOptions = z.looseObject({
  unk_token: z.string(),
  continuing_subword_prefix: z.string(),
  max_input_chars_per_word: z.number(),
});
const wordLevelOptions = z.looseObject({ unk_token: z.string() });

/** BERT's model: from the left always the longest token, or the unknown token for the whole word. */
export function createWordPiece(component: Component): TokenModel {
  const spec = readOptions(wordPieceOptions, component, 'model');
  const prefix = spec.continuing_subword_prefix;
  const vocabulary = readVocabulary(component);
  const longest = [...vocabulary.keys()].reduce((most, token) => Math.max(most, token.length), 0);
  const unknown = (): number[] => {
    const id = vocabulary.get(spec.unk_token);
    if (id === undefined) throw missingUnknown('WordPiece', spec.unk_token);
    return [id];
  };
  const tokenize = (text: string): number[] => {
    if ([...text].length > spec.max_input_chars_per_word) return unknown();
    const ids: number[] = [];
    for (let start = 0; start < text.length;) {
      let end = Math.min(text.length, start + longest);
      let id: number | undefined;
      for (; end > start; end--) {
        id = vocabulary.get((start > 0 ? prefix : '') + text.slice(start, end));
        if (id !== undefined) break;
      }
      if (id === undefined) return unknown();
      ids.push(id);
      start = end;
    }
    return ids;
  };
  return { type: 'WordPiece', vocabulary, size: vocabulary.size, tokenize: withCache(tokenize) };
}

/** A token for each piece. */
export function createWordLevel(component: Component): TokenModel {
  const spec = readOptions(wordLevelOptions, component, 'model');
  const vocabulary = readVocabulary(component);
  return {
    type: 'WordLevel',
    vocabulary,
    size: vocabulary.size,
    tokenize(text) {
      const id = vocabulary.get(text) ?? vocabulary.get(spec.unk_token);
      if (id === undefined) throw missingUnknown('WordLevel', spec.unk_token);
      return [id];
    },
  };
}
