import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { visibleJson, visibleLine, visibleStream, visibleText } from './visible-text.js';

/** Written down otherwise than in the source: what a terminal or a reader would obey. */
function isObeyed(code: number): boolean {
  if (code < 0x20) return code !== 0x0a && code !== 0x09;
  if (code >= 0x7f && code <= 0x9f) return true;
  const ranges = [
    [0xad],
    [0x61c],
    [0x180e],
    [0x200b],
    [0x200e, 0x200f],
    [0x2028, 0x202e],
    [0x2060, 0x2064],
    [0x2066, 0x206f],
    [0xfeff],
    [0xfff9, 0xfffb],
    [0x13430, 0x1343f],
    [0x1bca0, 0x1bca3],
    [0x1d173, 0x1d17a],
    [0xe0001],
    [0xe0020, 0xe007f],
  ];
  return ranges.some(([from, to = from]) => code >= from! && code <= to!);
}
const all = Array.from({ length: 0x110000 }, (_, code) => code).filter((code) => code < 0xd800 || code > 0xdfff);
const obeyed = all.filter(isObeyed);

describe('what is shown', () => {
  test('every character of Unicode: the obeyed ones as their number, all others as they are', () => {
    for (const code of all) {
      const character = String.fromCodePoint(code);
      const shown = visibleText(character);
      // 0x70f and the like are visible; newer format characters may be known to a newer Node.
      if (isObeyed(code)) expect([code, shown]).toEqual([code, expect.stringMatching(/^\\(x..|u....|u\{.+\})$/)]);
      else if (shown !== character) expect.unreachable(`U+${code.toString(16)} became ${shown}`);
    }
  });

  test.each([
    ['\u001b]0;pwned\u0007', '\\x1b]0;pwned\\x07'],
    ['\u009b31mred', '\\x9b31mred'],
    ['over\rwritten', 'over\\x0dwritten'],
    ['bell\b\b\b\u007f', 'bell\\x08\\x08\\x08\\x7f'],
    ['a\u202egnp.exe', 'a\\u202egnp.exe'],
    ['a\u2066b\u2069', 'a\\u2066b\\u2069'],
    ['\u{e0041}', '\\u{e0041}'],
    ['two\r\nlines\n\tand a tab', 'two\nlines\n\tand a tab'],
    ['naïve 你好 👩‍👩‍👧 क्‍ष نامه‌ای', 'naïve 你好 👩‍👩‍👧 क्‍ष نامه‌ای'],
  ])('%j', (text, shown) => expect(visibleText(text)).toBe(shown));

  test('a name stays on its line', () => {
    expect(visibleLine('a\nerror [X]: b\tc\r\n')).toBe('a\\x0aerror [X]: b\\x09c\\x0a');
  });
});

/** Texts in which these characters are frequent. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(...obeyed, 0x0a, 0x0d, 0x09).map((code) => String.fromCodePoint(code)),
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.constantFrom('\ud800', '\udc00', '\r\n'),
    ),
    { maxLength: 20 },
  )
  .map((pieces) => pieces.join(''));

describe('of any text', () => {
  test('nothing that is obeyed is left, and cleaning twice changes nothing more', () => {
    fc.assert(
      fc.property(text, (given) => {
        const shown = visibleText(given);
        expect([...shown].filter((character) => isObeyed(character.codePointAt(0)!))).toEqual([]);
        expect(visibleText(shown)).toBe(shown);
      }),
    );
  });

  test('what was visible is kept, in order', () => {
    const kept = (given: string) => [...given].filter((character) => !isObeyed(character.codePointAt(0)!)).join('');
    const withoutEscapes = (shown: string) => shown.replace(/\\(x..|u[^{]...|u\{[^}]+\})/g, '');
    // A backslash of the text itself looks like an escape.
    const plain = text.map((given) => given.replaceAll('\\', ''));
    fc.assert(fc.property(plain, (given) => void expect(withoutEscapes(visibleText(given))).toBe(kept(given))));
  });

  test('in pieces it is the same as whole, wherever they part', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(40), { maxLength: 6 }), (given, cuts) => {
        const { next, end } = visibleStream();
        const places = [0, ...cuts.map((cut) => Math.min(cut, given.length)).sort((a, b) => a - b), given.length];
        const shown = places.slice(1).map((place, i) => next(given.slice(places[i], place)));
        expect(shown.join('') + end()).toBe(visibleText(given));
      }),
    );
  });

  test('JSON stays the same value and has nothing that is obeyed', () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.dictionary(text, text)), (value) => {
        const json = visibleJson(JSON.stringify(value));
        expect([...json].filter((character) => isObeyed(character.codePointAt(0)!))).toEqual([]);
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
