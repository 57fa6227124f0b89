import { z } from 'zod';
import { invalid, readOptions, unsupported, type Component } from '../component.js';
import { createMerger, type Merges } from './merge-symbols.js';
import { withCache } from './piece-cache.js';
import { byteTokens, missingUnknown, readVocabulary, toByteTokens } from './vocabulary.js';
import type { TokenModel } from './token-model.js';

const options = z.looseObject({
  // Hundreds of thousands, which `readMerges` looks at one by one.
  merges: z.custom<unknown[]>((value) => Array.isArray(value), 'expected a list of merges'),
  dropout: z.number().nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});

const SPACE = '▁';

/** Byte-pair encoding: the neighbours of the earliest merge are joined first. */
export function createBpe(component: Component): TokenModel {
  const spec = readOptions(options, component, 'model');
  if ((spec.dropout ?? 0) !== 0) throw unsupported(`the model BPE with dropout ${spec.dropout}: its tokens are random`);
  const vocabulary = readVocabulary(component);
  const prefix = spec.continuing_subword_prefix ?? '';
  const suffix = spec.end_of_word_suffix ?? '';
  const { merges, crossesSpace } = readMerges(spec.merges, vocabulary, prefix);
  const merge = createMerger(merges);
  const bytes = spec.byte_fallback === true ? byteTokens(vocabulary) : undefined;
  const unknown = spec.unk_token ?? undefined;
  // Byte-level files name unknown tokens that they neither hold nor need.
  const unknownId = (): number => {
    const id = vocabulary.get(unknown!);
    if (id === undefined) throw missingUnknown('BPE', unknown);
    return id;
  };
  const fuses = spec.fuse_unk === true;
  const wholeFirst = spec.ignore_merges === true;

  const symbols = (text: string): number[] => {
    const ids: number[] = [];
    let pending = false; // an unknown token that is not in `ids` yet
    let at = 0;
    for (const character of text) {
      let symbol = character;
      if (at > 0 && prefix !== '') symbol = prefix + symbol;
      at += character.length;
      if (at === text.length && suffix !== '') symbol += suffix;
      const id = vocabulary.get(symbol);
      if (id !== undefined) {
        if (pending) ids.push(unknownId());
        pending = false;
        ids.push(id);
        continue;
      }
      const fallback = bytes === undefined ? undefined : toByteTokens(symbol, bytes);
      if (fallback !== undefined) ids.push(...fallback);
      else if (unknown !== undefined) {
        if (pending && !fuses) ids.push(unknownId());
        pending = true;
      }
    }
    if (pending) ids.push(unknownId());
    return ids;
  };
  const encode = (text: string): readonly number[] => {
    if (wholeFirst) {
      const id = vocabulary.get(text);
      if (id !== undefined) return [id];
    }
    return merge(symbols(text));
  };
  const word = withCache(encode);

  // Where no merge joins anything to a ▁ after it, the words of a text can be tokenized one by one, and remembered.
  const divides = !crossesSpace && vocabulary.has(SPACE) && prefix === '' && suffix === '' && !wholeFirst;
  const tokenize = (text: string): readonly number[] => {
    if (!divides || text.length < 32) return word(text);
    const ids: number[] = [];
    for (const [part] of text.matchAll(/▁*[^▁]+|▁+/g)) for (const id of word(part)) ids.push(id);
    return ids;
  };
  return { type: 'BPE', vocabulary, size: vocabulary.size, tokenize };
}

function readMerges(
  listed: readonly unknown[],
  vocabulary: ReadonlyMap<string, number>,
  prefix: string,
): { merges: Merges; crossesSpace: boolean } {
  const given = listed.filter((entry) => typeof entry !== 'string' || !entry.startsWith('#version'));
  const [lefts, rights, wholes] = [0, 1, 2].map(() => new Int32Array(given.length)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  let crossesSpace = false;
  given.forEach((entry, rank) => {
    const parts: readonly unknown[] = typeof entry === 'string' ? entry.split(' ') : Array.isArray(entry) ? entry : [];
    const [left, right] = parts;
    if (parts.length !== 2 || typeof left !== 'string' || typeof right !== 'string')
      throw invalid(`its model BPE has the merge ${JSON.stringify(entry)}; expected two tokens`);
    const idOf = (token: string): number => {
      const id = vocabulary.get(token);
      if (id === undefined)
        throw invalid(
          `its model BPE has the merge ${JSON.stringify(entry)}, and ${JSON.stringify(token)} is not in its vocabulary`,
        );
      return id;
    };
    crossesSpace ||= right.startsWith(SPACE) && !left.endsWith(SPACE);
    lefts[rank] = idOf(left);
    rights[rank] = idOf(right);
    wholes[rank] = idOf(left + right.slice(prefix.length));
  });
  return { merges: { lefts, rights, wholes }, crossesSpace };
}
