const ENTRIES = 20_000;
const LENGTH = 64;

/** Remembers the tokens of short pieces: the words of a text repeat. */
export function withCache(tokenize: (text: string) => readonly number[]): (text: string) => readonly number[] {
  const known = new Map<string, readonly number[]>();
  return (text) => {
    if (text.length > LENGTH) return tokenize(text);
    let ids = known.get(text);
    if (ids === undefined) {
      ids = tokenize(text);
      if (known.size >= ENTRIES) known.clear();
      known.set(text, ids);
    }
    return ids;
  };
}
