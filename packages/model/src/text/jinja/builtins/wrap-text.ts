import { valueError } from '../failures.js';
import { spendText } from '../rendering.js';
import { strip, wordCharacters } from '../values/unicode.js';

interface WrapOptions {
  readonly width: number;
  readonly breakLongWords: boolean;
  readonly breakOnHyphens: boolean;
}

// Python's textwrap splits at these: a dash between two words, and a hyphen that letters surround.
const ws = '[\\t\\n\\x0b\\x0c\\r ]';
const nws = '[^\\t\\n\\x0b\\x0c\\r ]';
const wp = `[${wordCharacters}!"'&.,?]`;
const lt = '[\\p{L}_]';
const separators = new RegExp(
  `(${ws}+|(?<=${wp})-{2,}(?=[${wordCharacters}])|${nws}+?(?:-(?:(?<=${lt}{2}-)|(?<=${lt}-${wp}-))(?=${lt}-?${lt})` +
    `|(?=${ws}|$)|(?<=${wp})(?=-{2,}[${wordCharacters}])))`,
  'u',
);
const simple = new RegExp(`(${ws}+)`);

/** `textwrap.wrap`, which keeps tabs and other white space as they are. */
export function wrapText(text: string, { width, breakLongWords, breakOnHyphens }: WrapOptions): string[] {
  if (width <= 0) throw valueError(`invalid width ${width} (must be > 0)`);
  spendText(text.length * 64);
  const chunks = text
    .split(breakOnHyphens ? separators : simple)
    .filter((chunk) => chunk !== '')
    .map((chunk) => Array.from(chunk))
    .reverse();
  const lines: string[] = [];
  const isBlank = (chunk: readonly string[]): boolean => strip(chunk.join('')) === '';
  while (chunks.length > 0) {
    const line: string[][] = [];
    let length = 0;
    if (lines.length > 0 && isBlank(chunks.at(-1)!)) chunks.pop();
    while (chunks.length > 0 && length + chunks.at(-1)!.length <= width) {
      length += chunks.at(-1)!.length;
      line.push(chunks.pop()!);
    }
    const long = chunks.at(-1);
    if (long !== undefined && long.length > width) {
      if (breakLongWords) {
        let end = width - length;
        const hyphen = breakOnHyphens ? long.lastIndexOf('-', end - 1) : -1;
        if (end > 0 && hyphen > 0 && long.slice(0, hyphen).some((character) => character !== '-')) end = hyphen + 1;
        line.push(long.slice(0, end));
        chunks[chunks.length - 1] = long.slice(end);
      } else if (line.length === 0) line.push(chunks.pop()!);
    }
    if (line.length > 0 && isBlank(line.at(-1)!)) line.pop();
    if (line.length > 0) lines.push(line.map((chunk) => chunk.join('')).join(''));
  }
  return lines;
}
