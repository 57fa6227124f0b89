import { quoteValue } from '@glulam/files';
import { z } from 'zod';
import { invalid, unsupported } from './component.js';
import type { Normalizer } from './steps/normalizers.js';
import type { TokenModel } from './models/token-model.js';
import { createTrie } from './models/trie.js';

/** A token beside the model's vocabulary, found in text before anything else is done to it. */
export interface AddedToken {
  /** Its text. */
  readonly content: string;
  /** Only where no letter or digit touches it. */
  readonly singleWord: boolean;
  /** Takes the spaces before it. */
  readonly lstrip: boolean;
  /** Takes the spaces after it. */
  readonly rstrip: boolean;
  /** Looked for in normalized text, by its normalized content. */
  readonly normalized: boolean;
  /** Marks something, such as the end of a text: left out where special tokens are skipped. */
  readonly special: boolean;
}

interface AddedVocabulary {
  /** Adds tokens as Python's `add_tokens`, which gives new ones the next ids, whatever a file says. */
  add(tokens: readonly AddedToken[]): void;
  idOf(content: string): number | undefined;
  tokens(): ReadonlyMap<number, AddedToken>;
  isSpecial(content: string): boolean;
  /** Whether a token is looked for in normalized text; one that was added again with other flags may be by its first. */
  isNormalized(content: string): boolean;
  /** To be called after tokens were added. */
  finder(normalizer: Normalizer | undefined, splitsSpecial: boolean): AddedTokenFinder;
}

const listedSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z.unknown(),
        content: z.string(),
        single_word: z.boolean(),
        lstrip: z.boolean(),
        rstrip: z.boolean(),
        normalized: z.boolean(),
        special: z.boolean(),
      }),
    )
    .nullish(),
});

/** The added tokens of a tokenizer.json, with the ids that it gives them. */
export function readAddedTokens(file: object): { id: number; token: AddedToken }[] {
  const parsed = listedSchema.safeParse(file);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  return (parsed.data.added_tokens ?? []).map(
    ({ id, content, single_word: singleWord, lstrip, rstrip, normalized, special }) => {
      if (!Number.isSafeInteger(id) || (id as number) < 0)
        throw invalid(
          `it gives the token ${JSON.stringify(content)} the id ${quoteValue(id)}; expected a whole number of at least 0`,
        );
      return { id: id as number, token: { content, singleWord, lstrip, rstrip, normalized, special } };
    },
  );
}

/** A part of a text: an added token, or text between them. */
interface FoundPart {
  readonly start: number;
  readonly end: number;
  readonly id: number | undefined;
}

interface AddedTokenFinder {
  /** In the text as it is written. */
  inWritten(text: string): FoundPart[];
  /** In the normalized text between those. */
  inNormalized(text: string): FoundPart[];
}

export function createAddedVocabulary(model: TokenModel): AddedVocabulary {
  const ids = new Map<string, number>();
  const byId = new Map<number, AddedToken>();
  const special = new Map<string, AddedToken>();
  const others: AddedToken[] = [];
  const normalized = new Set<string>();
  let next = model.size;
  const idOf = (content: string): number | undefined => ids.get(content) ?? model.vocabulary.get(content);

  return {
    idOf,
    tokens: () => byId,
    isSpecial: (content) => special.has(content),
    isNormalized: (content) => normalized.has(content),
    add(tokens) {
      const list = (token: AddedToken): void => {
        if (token.special && !special.has(token.content)) special.set(token.content, token);
        else others.push(token);
        if (token.normalized) normalized.add(token.content);
      };
      for (const token of tokens) if (token.special && token.content !== '' && !special.has(token.content)) list(token);
      for (const token of tokens) {
        const { content } = token;
        const known = ids.get(content);
        if (content === '' || (known !== undefined && areEqual(byId.get(known)!, token))) continue;
        const id = idOf(content) ?? next;
        next = Math.max(next, id + 1);
        ids.set(content, id);
        byId.set(id, token);
        if (!special.has(content)) list(token);
      }
    },
    finder(normalizer, splitsSpecial) {
      const all = [...special.values(), ...others];
      const patterns = (inNormalized: boolean): [string, number][] => {
        const found = new Map<string, string>();
        return all
          .filter((token) => token.normalized === inNormalized)
          .map(({ content }) => {
            const pattern = inNormalized && normalizer !== undefined ? normalizer(content) : content;
            const other = found.get(pattern) ?? content;
            if (pattern === '')
              throw unsupported(`the added token ${JSON.stringify(content)}, which the normalizer makes empty`);
            // The library finds one or the other, by chance.
            if (other !== content)
              throw unsupported(
                `the added tokens ${JSON.stringify(other)} and ${JSON.stringify(content)}, which the normalizer makes equal`,
              );
            found.set(pattern, content);
            return [pattern, idOf(content)!];
          });
      };
      const passes = (id: number): boolean => splitsSpecial && special.has(byId.get(id)!.content);
      return {
        inWritten: finderOf(patterns(false), byId, passes),
        inNormalized: finderOf(patterns(true), byId, passes),
      };
    },
  };
}

function areEqual(a: AddedToken, b: AddedToken): boolean {
  return (
    a.singleWord === b.singleWord &&
    a.lstrip === b.lstrip &&
    a.rstrip === b.rstrip &&
    a.normalized === b.normalized &&
    a.special === b.special
  );
}

const wordAtStart = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const spaceAtStart = /\p{White_Space}*/uy;

function finderOf(
  patterns: readonly (readonly [string, number])[],
  byId: ReadonlyMap<number, AddedToken>,
  passes: (id: number) => boolean,
): (text: string) => FoundPart[] {
  if (patterns.length === 0) return (text) => [{ start: 0, end: text.length, id: undefined }];
  const trie = createTrie(patterns);
  // Most of a text is not the beginning of any token.
  const units = [...new Set(patterns.map(([content]) => content.charCodeAt(0)))];
  const begin = new RegExp(`[${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}]`, 'g');

  return (text) => {
    const parts: FoundPart[] = [];
    let done = 0;
    for (let at = 0; at < text.length;) {
      begin.lastIndex = at;
      const candidate = begin.exec(text)?.index;
      if (candidate === undefined) break;
      const found = trie.longest(text, candidate);
      if (found === undefined) {
        at = candidate + 1;
        continue;
      }
      at = found.end;
      const { value: id } = found;
      const token = byId.get(id)!;
      let [start, end] = [candidate, found.end];
      if (passes(id)) continue;
      if (token.singleWord && (endsWithWord(text, start) || wordAtStart.test(characterAt(text, end)))) continue;
      if (token.lstrip) start = Math.max(done, spacesBefore(text, start));
      if (token.rstrip) {
        spaceAtStart.lastIndex = end;
        spaceAtStart.test(text);
        end = spaceAtStart.lastIndex;
      }
      if (done < start) parts.push({ start: done, end: start, id: undefined });
      // A token of spaces may be part of those that the token before it took.
      if (start < end) parts.push({ start, end, id });
      done = Math.max(done, end);
    }
    if (done !== text.length) parts.push({ start: done, end: text.length, id: undefined });
    return parts;
  };
}

function characterAt(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? '' : String.fromCodePoint(code);
}

function endsWithWord(text: string, end: number): boolean {
  if (end === 0) return false;
  const low = text.charCodeAt(end - 1);
  return wordAtStart.test(characterAt(text, low >= 0xdc00 && low <= 0xdfff && end > 1 ? end - 2 : end - 1));
}

function spacesBefore(text: string, end: number): number {
  let at = end;
  while (at > 0 && /\p{White_Space}/u.test(text[at - 1]!)) at--;
  return at;
}
