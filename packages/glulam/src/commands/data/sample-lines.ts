import type { Tokenizer } from '@glulam/model';
import { visibleText, type Example } from '@glulam/trainer';

/** Characters of an example that are shown; of a longer one its two ends. */
const shown = 1600;

interface Part {
  readonly text: string;
  readonly learnt: boolean;
}

/**
 * An example as text, behind a rule, wrapped to `columns`; what is learnt in green, or without colour between ⟦ and ⟧.
 */
export function sampleLines(
  example: Example,
  tokenizer: Pick<Tokenizer, 'decode'>,
  { colour, columns }: { readonly colour: boolean; readonly columns: number },
): string[] {
  const parts = shortened(partsOf(example, tokenizer)).map(({ text, learnt }) => {
    const safe = visibleText(text);
    return { text: learnt && !colour ? `⟦${safe}⟧` : safe, learnt };
  });
  const paint = ({ text, learnt }: Part): string =>
    colour ? (learnt ? `\u001b[32m${text}\u001b[39m` : `\u001b[2m${text}\u001b[22m`) : text;
  return wrapped(parts, Math.max(20, columns - 4)).map((line) => `  │ ${line.map(paint).join('')}`);
}

/** Parts as lines of at most `width` characters, broken between words where there are any. */
function wrapped(parts: readonly Part[], width: number): Part[][] {
  const lines: Part[][] = [[]];
  let used = 0;
  const put = (text: string, learnt: boolean): void => {
    lines.at(-1)!.push({ text, learnt });
    used += text.length;
  };
  const breakLine = (): void => {
    lines.push([]);
    used = 0;
  };
  for (const { text, learnt } of parts) {
    for (const [piece] of text.matchAll(/\n| +|[^ \n]+/g)) {
      if (piece === '\n') breakLine();
      else if (used + piece.length <= width) put(piece, learnt);
      else if (piece.startsWith(' ')) breakLine();
      else {
        if (used > 0) breakLine();
        for (let at = 0; at < piece.length; at += width) {
          if (at > 0) breakLine();
          put(piece.slice(at, at + width), learnt);
        }
      }
    }
  }
  return lines;
}

/** Stretches of the example that are learnt or not. A stretch's text is what it adds to the text before it. */
function partsOf({ ids, trained }: Example, tokenizer: Pick<Tokenizer, 'decode'>): Part[] {
  const parts: Part[] = [];
  const textUpTo = (end: number): string => tokenizer.decode([...ids.subarray(0, end)], { skipSpecialTokens: false });
  let before = '';
  for (let start = 0; start < ids.length;) {
    let end = start + 1;
    while (end < ids.length && trained[end] === trained[start]) end += 1;
    const text = textUpTo(end);
    parts.push({ text: text.slice(before.length), learnt: trained[start] === 1 });
    before = text;
    start = end;
  }
  return parts;
}

/** Without the middle, where there is much of it. */
function shortened(parts: readonly Part[]): Part[] {
  const total = parts.reduce((sum, { text }) => sum + text.length, 0);
  if (total <= shown) return [...parts];
  const [from, to] = [shown / 2, total - shown / 2];
  const result: Part[] = [];
  let at = 0;
  let told = false;
  for (const { text, learnt } of parts) {
    const head = text.slice(0, Math.max(0, from - at));
    const tail = text.slice(Math.max(0, to - at));
    const cut = head.length + tail.length < text.length;
    if (head !== '') result.push({ text: head, learnt });
    if (cut && !told) {
      result.push({ text: `\n... ${(to - from).toLocaleString('en-US')} characters ...\n`, learnt: false });
      told = true;
    }
    if (cut ? tail !== '' : head === '') result.push({ text: tail, learnt });
    at += text.length;
  }
  return result;
}
