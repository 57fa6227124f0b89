/**
 * What a terminal or a reader would obey instead of showing: control characters but the newline and the tab (C0, DEL, C1),
 * line separators, and Unicode's format characters, which reorder or hide what is around them. The two joiners stay, since
 * scripts and emoji are written with them, and so do the number signs of Arabic and its kin, which are visible.
 */
const obeyed =
  /(?![\n\t\u200c\u200d\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * A text that is not ours, as a terminal may show it: `\x1b` in place of the character. Everything that comes from files,
 * models and other people passes through here before it is printed; control sequences of ours are added afterwards.
 */
export function visibleText(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(obeyed, escapeOf);
}

/** The same on one line, for names: a newline or tab in them is shown too. */
export const visibleLine = (text: string): string => visibleText(text).replace(/[\n\t]/g, escapeOf);

/** The same for JSON, which stays the same value: the characters can only be in its strings. */
export const visibleJson = (json: string): string =>
  json.replace(obeyed, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${hex(character.charCodeAt(i), 4)}`).join(''),
  );

/** The same for a text that comes in pieces, which may part a pair of characters. */
export function visibleStream(): { readonly next: (piece: string) => string; readonly end: () => string } {
  let held = '';
  return {
    next(piece) {
      const text = held + piece;
      held = /[\r\ud800-\udbff]$/.exec(text)?.[0] ?? '';
      return visibleText(text.slice(0, text.length - held.length));
    },
    end: () => visibleText(held),
  };
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0)!;
  if (code < 0x100) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 5)}}`;
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');
