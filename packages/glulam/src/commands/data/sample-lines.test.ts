import path from 'node:path';
import { openTokenizer } from '@glulam/model';
import { describe, expect, test } from 'vitest';
import { sampleLines } from './sample-lines.js';

const tokenizer = openTokenizer(path.resolve(import.meta.dirname, '../../../../../examples/models/tiny-mistral-gsm8k'));
/** An example of texts that are learnt or not in turn, the first one not. */
function exampleOf(...texts: string[]) {
  const ids: number[] = [];
  const trained: number[] = [];
  texts.forEach((_, i) => {
    // The tokens that the text adds to those before it.
    const all = tokenizer.encode(texts.slice(0, i + 1).join(''));
    for (const id of all.slice(ids.length)) {
      ids.push(id);
      trained.push(i % 2);
    }
  });
  return { ids: Int32Array.from(ids), trained: Uint8Array.from(trained) };
}

describe('an example as it is shown', () => {
  test('what is learnt between brackets, or in colour', () => {
    const example = exampleOf('Question: how many?\nAnswer:', ' Three apples.\n#### 3');
    expect(sampleLines(example, tokenizer, { colour: false, columns: 80 })).toEqual([
      '  │ <s>Question: how many?',
      '  │ Answer:⟦ Three apples.',
      '  │ #### 3⟧',
    ]);
    const coloured = sampleLines(example, tokenizer, { colour: true, columns: 80 }).join('\n');
    expect(coloured).not.toMatch(/[⟦⟧]/);
    const green = [...coloured.matchAll(/\u001b\[32m(.*?)\u001b\[39m/g)].map(([, text]) => text).join('');
    expect(green).toBe(' Three apples.#### 3');
  });

  test('wrapped between words; nothing is lost', () => {
    const text = `one two three ${'x'.repeat(50)} four `.repeat(4).trimEnd();
    const lines = sampleLines(exampleOf(text, ' five six'), tokenizer, { colour: false, columns: 34 });
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(34);
    const letters = (all: string) => all.replace(/[^a-z0-9]/g, '');
    expect(letters(lines.join(''))).toBe(letters(`s${text}five six`));
    expect(lines.at(-1)).toMatch(/six⟧$/);
  });

  test('of a long one the two ends, with what is between them counted', () => {
    const [head, tail] = ['begin '.repeat(200), ' end'.repeat(400)];
    const lines = sampleLines(exampleOf(`${head}and`, tail), tokenizer, { colour: false, columns: 200 });
    const text = lines.map((line) => line.slice(4)).join('\n');
    const cut = Number(/\n\.\.\. ([\d,]+) characters \.\.\.\n/.exec(text)![1]!.replace(',', ''));
    const whole = tokenizer.decode([...exampleOf(`${head}and`, tail).ids], { skipSpecialTokens: false });
    expect(cut).toBe(whole.length - 1600);
    expect(text.startsWith('<s>begin begin')).toBe(true);
    expect(text.trimEnd()).toMatch(/end⟧$/);
  });

  test('control characters are shown, not obeyed', () => {
    const fake = { decode: () => 'a\u001b[2Jb\rc\u0007d\u009be\ttab' };
    const example = { ids: Int32Array.of(5), trained: Uint8Array.of(0) };
    expect(sampleLines(example, fake, { colour: false, columns: 80 })).toEqual([
      '  │ a\\x1b[2Jb\\x0dc\\x07d\\x9be\ttab',
    ]);
  });
});
