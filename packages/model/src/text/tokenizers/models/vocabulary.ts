import { invalid, type Component } from '../component.js';

/** A vocabulary of ids by token, in the order of the file. */
export function readVocabulary(component: Component): Map<string, number> {
  const { vocab } = component;
  if (typeof vocab !== 'object' || vocab === null || Array.isArray(vocab))
    throw invalid(`its model ${component.type} has no vocab; expected ids by token`);
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(vocab as Record<string, unknown>)) {
    if (!Number.isSafeInteger(id) || (id as number) < 0 || (id as number) > 0x7fffffff)
      throw invalid(
        `it gives the token ${JSON.stringify(token)} the id ${JSON.stringify(id)}; expected a whole number of at least 0`,
      );
    ids.set(token, id as number);
  }
  return ids;
}

/** Ids of the tokens `<0x00>` to `<0xFF>`; undefined where one is missing. */
export function byteTokens(vocabulary: ReadonlyMap<string, number>): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) =>
    vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
}

const encoder = new TextEncoder();

/** The byte tokens of a text, or undefined if one is missing. */
export function toByteTokens(text: string, tokens: readonly (number | undefined)[]): number[] | undefined {
  const ids: number[] = [];
  for (const byte of encoder.encode(text)) {
    const id = tokens[byte];
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}

/** The error for a text with something unknown, where the model has no token for it. */
export function missingUnknown(model: string, token: string | undefined): Error {
  const what =
    token === undefined
      ? 'names no unknown token'
      : `names the unknown token ${JSON.stringify(token)}, which its vocabulary does not hold`;
  return invalid(`The text has a character that the tokenizer does not know, and its model ${model} ${what}.`);
}
