import { z } from 'zod';
import { invalid, readOptions, type Component } from '../component.js';
import { withCache } from './piece-cache.js';
import type { TokenModel } from './token-model.js';
import { createTrie } from './trie.js';
import { byteTokens, missingUnknown, toByteTokens } from './vocabulary.js';

const options = z.looseObject({
  // Hundreds of thousands, which are looked at one by one.
  vocab: z.custom<unknown[]>((value) => Array.isArray(value), 'expected a list of tokens and scores'),
  unk_id: z.int().min(0).nullish(),
  byte_fallback: z.boolean().nullish(),
});

// SentencePiece's: how much worse than the worst token an unknown character is.
const UNKNOWN_PENALTY = 10;

/** SentencePiece's unigram model: the tokens whose scores have the greatest sum. */
export function createUnigram(component: Component): TokenModel {
  const spec = readOptions(options, component, 'model');
  const unknownId = spec.unk_id ?? undefined;
  if (unknownId !== undefined && unknownId >= spec.vocab.length)
    throw invalid(`its model Unigram has unk_id ${unknownId} and ${spec.vocab.length} tokens`);
  const vocabulary = new Map<string, number>(); // of equal tokens the last
  const scores = Float64Array.from(spec.vocab, (entry, id) => {
    const [token, score] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof token !== 'string' || typeof score !== 'number')
      throw invalid(`its model Unigram has the entry ${JSON.stringify(entry)}; expected a token and its score`);
    vocabulary.set(token, id);
    return score;
  });
  const unknownScore = scores.reduce((least, score) => Math.min(least, score), Infinity) - UNKNOWN_PENALTY;
  const trie = createTrie(vocabulary);
  const bytes = spec.byte_fallback === true ? byteTokens(vocabulary) : undefined;

  /** Where each token of the best way through a text begins, and its id. */
  const best = (text: string): { starts: Int32Array; ids: Int32Array } => {
    const sums = new Float64Array(text.length + 1);
    const starts = new Int32Array(text.length + 1).fill(-1);
    const ids = new Int32Array(text.length + 1);
    let start = 0;
    let after = 0;
    let single = false; // whether a token is the character at `start`
    const reach = (end: number, id: number, score: number): void => {
      const sum = score + sums[start]!;
      if (starts[end] !== -1 && sum <= sums[end]!) return;
      sums[end] = sum;
      starts[end] = start;
      ids[end] = id;
    };
    const take = (end: number, id: number): void => {
      reach(end, id, scores[id]!);
      single ||= end === after;
    };
    for (; start < text.length; start = after) {
      after = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
      single = false;
      trie.matches(text, start, take);
      if (single) continue;
      if (unknownId === undefined) throw missingUnknown('Unigram', undefined);
      reach(after, unknownId, unknownScore);
    }
    return { starts, ids };
  };

  const tokenize = (text: string): number[] => {
    const { starts, ids } = best(text);
    const result: number[][] = [];
    for (let end = text.length; end > 0;) {
      let start = starts[end]!;
      // Unknown characters beside each other are one.
      if (ids[end] === unknownId) while (start > 0 && ids[start] === unknownId) start = starts[start]!;
      const part = text.slice(start, end);
      const id = vocabulary.get(part);
      if (id !== undefined) result.push([id]);
      else result.push((bytes === undefined ? undefined : toByteTokens(part, bytes)) ?? [unknownId!]);
      end = start;
    }
    return result.reverse().flat();
  };
  return { type: 'Unigram', vocabulary, size: spec.vocab.length, tokenize: withCache(tokenize) };
}
