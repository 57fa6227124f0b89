// GPT-2's alphabet: a visible character for every byte. Bytes that are visible in Latin-1 stand for themselves.
const isVisible = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

const characters: string[] = [];
/** By byte. */
export const byteCharacters: readonly string[] = characters;
const bytes = new Map<string, number>();
let others = 0;
for (let byte = 0; byte < 256; byte++) {
  const character = String.fromCharCode(isVisible(byte) ? byte : 0x100 + others++);
  characters.push(character);
  bytes.set(character, byte);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A text's UTF-8 bytes, each as its character. */
export function toByteCharacters(text: string): string {
  if (/^[!-~]*$/.test(text)) return text;
  let result = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x80) result += characters[code];
    else for (const byte of encoder.encode(character)) result += characters[byte];
  }
  return result;
}

/** The text of tokens in that alphabet; a token that is not in it stands for its own text. */
export function fromByteCharacters(tokens: readonly string[]): string {
  const all: number[] = [];
  for (const token of tokens) {
    const mapped = [...token].map((character) => bytes.get(character));
    if (mapped.includes(undefined)) all.push(...encoder.encode(token));
    else all.push(...(mapped as number[]));
  }
  return decoder.decode(new Uint8Array(all));
}
