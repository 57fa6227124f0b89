import type { Tokenizer } from '@glulam/model';
import type { Example } from '@glulam/trainer';

/** Characters of an example that are shown; of a longer one its two ends. */
const shown = 1600;

interface Part {
  readonly text: string;
  readonly learnt: boolean;
}

/** An example as text, behind a rule; what is learnt in green, or without colour between ⟦ and ⟧. */
export function sampleLines(
  example: Example,
  tokenizer: Pick<Tokenizer, 'decode'>,
  { colour }: { readonly colour: boolean },
): string[] {
  const parts = shortened(partsOf(example, tokenizer));
  const painted = parts.map(({ text, learnt }) => {
    const safe = visible(text);
    if (!colour) return learnt ? `⟦${safe}⟧` : safe;
    // Colours end with the line, so that the rule of the next one is not in them.
    const [on, off] = learnt ? ['\u001b[32m', '\u001b[39m'] : ['\u001b[2m', '\u001b[22m'];
    return safe
      .split('\n')
      .map((line) => (line === '' ? '' : `${on}${line}${off}`))
      .join('\n');
  });
  return painted
    .join('')
    .split('\n')
    .map((line) => `  │ ${line}`);
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

/** Control characters of the data as pictures: a terminal would obey them. */
function visible(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : '�';
  });
}
