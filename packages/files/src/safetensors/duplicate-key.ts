/**
 * The first key that some object of a JSON text has twice, or undefined. `JSON.parse` keeps the last of them without a
 * word, other readers the first, so such a text means different things to different programs. `text` has to be valid
 * JSON: this looks at strings and braces only.
 */
export function duplicateKey(text: string): string | undefined {
  const objects: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{') objects.push(new Set());
    else if (character === '}') objects.pop();
    else if (character === '"') {
      const start = i;
      let isEscaped = false;
      for (i++; i < text.length && text[i] !== '"'; i++) {
        if (text[i] !== '\\') continue;
        isEscaped = true;
        i++;
      }
      if (!isKey(text, i + 1)) continue;
      const key = isEscaped ? (JSON.parse(text.slice(start, i + 1)) as string) : text.slice(start + 1, i);
      const keys = objects.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function isKey(text: string, after: number): boolean {
  while (text[after] === ' ' || text[after] === '\n' || text[after] === '\t' || text[after] === '\r') after++;
  return text[after] === ':';
}
