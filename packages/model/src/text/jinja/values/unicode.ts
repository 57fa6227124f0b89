/** What Python's `str` knows of characters, where JavaScript differs. Properties come from the running Node's Unicode. */

/** `str.isspace`, `str.strip` and `\s` of `re`: not the byte order mark, as in JavaScript, but the separators \x1c to \x1f. */
export const whiteSpace = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const leading = new RegExp(`^[${whiteSpace}]+`);
const space = new RegExp(`^[${whiteSpace}]+$`);
const spaceAt = new RegExp(`[${whiteSpace}]`);

export const stripStart = (text: string): string => text.replace(leading, '');

export function stripEnd(text: string): string {
  // A regular expression that is tried at every space of a long text takes quadratic time.
  let end = text.length;
  while (end > 0 && spaceAt.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

export const strip = (text: string): string => stripEnd(stripStart(text));

export const spaces = new RegExp(`[${whiteSpace}]+`, 'g');

// Numeric characters of the categories So, No and Lo, which \p{N} and \p{Nd} leave out or do not tell apart.
const digits =
  '\\p{Nd}\\xb2\\xb3\\xb9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490' +
  '\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788\\u278a-\\u2792\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}' +
  '\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}';
const ideographs =
  '㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅升卌叁叄叅参四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零' +
  '參拾兩零六陸什𠀁𠁤𠃢𠄡𠤪𠦃𠦌𠦜𠫪𠫽𠬙𢎐𢦘𣬛𦉭廾';
const numeric = `\\p{N}${ideographs}`;

const all = (characters: string): RegExp => new RegExp(`^[${characters}]+$`, 'u');
const classes: Readonly<Record<string, RegExp>> = {
  isalnum: all(`\\p{L}${numeric}`),
  isalpha: all('\\p{L}'),
  isdecimal: all('\\p{Nd}'),
  isdigit: all(digits),
  isnumeric: all(numeric),
  isspace: space,
  isidentifier: /^[\p{XID_Start}_][\p{XID_Continue}]*$/u,
};

/** `\w` of `re`. */
export const wordCharacters = `\\p{L}${numeric}_`;

const upper = /\p{Uppercase}/u;
const lower = /\p{Lowercase}/u;
const title = /\p{Lt}/u;

/** The tests of `str` that take no arguments. */
export function isKind(text: string, kind: string): boolean {
  switch (kind) {
    case 'isascii':
      return /^[\0-\x7f]*$/.test(text);
    case 'isprintable':
      return !/(?! )[\p{C}\p{Z}]/u.test(text);
    case 'islower':
      return lower.test(text) && !upper.test(text) && !title.test(text);
    case 'isupper':
      return upper.test(text) && !lower.test(text) && !title.test(text);
    case 'istitle':
      return isTitle(text);
    default:
      return classes[kind]!.test(text);
  }
}

function isTitle(text: string): boolean {
  let any = false;
  let inWord = false;
  for (const character of text) {
    if (upper.test(character) || title.test(character)) {
      if (inWord) return false;
      any = inWord = true;
    } else if (lower.test(character)) {
      if (!inWord) return false;
    } else inWord = false;
  }
  return any;
}

const isCased = (character: string): boolean => upper.test(character) || lower.test(character) || title.test(character);

const digraphs = 'ǄǅǆǇǈǉǊǋǌǱǲǳ';

/** A character as the first of a word: digraphs and ligatures have forms of their own. */
function titleCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  if (code < 0x80) return character.toUpperCase();
  const digraph = digraphs.indexOf(character);
  if (digraph !== -1) return digraphs[digraph - (digraph % 3) + 1]!;
  if (code >= 0x10d0 && code <= 0x10ff) return character; // Georgian
  if (code === 0x149) return character.toUpperCase();
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8);
  if ([0x1fb3, 0x1fbc, 0x1fc3, 0x1fcc, 0x1ff3, 0x1ffc].includes(code)) return String.fromCodePoint((code & ~15) | 12);
  const raised = character.toUpperCase();
  if ([0x1fb2, 0x1fb4, 0x1fb7, 0x1fc2, 0x1fc4, 0x1fc7, 0x1ff2, 0x1ff4, 0x1ff7].includes(code))
    return `${raised.slice(0, -1)}\u0345`;
  const [first, ...rest] = raised;
  return first! + rest.join('').toLowerCase();
}

export function capitalize(text: string): string {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0);
  return text === '' ? '' : titleCharacter(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

export function titleCase(text: string): string {
  const lowered = text.toLowerCase();
  let at = 0;
  let inWord = false;
  let result = '';
  for (const character of text) {
    const { length } = character.toLowerCase();
    result += inWord ? lowered.slice(at, at + length) : titleCharacter(character);
    at += length;
    inWord = isCased(character);
  }
  return result;
}

export function swapCase(text: string): string {
  const lowered = text.toLowerCase();
  let at = 0;
  let result = '';
  for (const character of text) {
    const { length } = character.toLowerCase();
    if (upper.test(character)) result += lowered.slice(at, at + length);
    else result += lower.test(character) ? character.toUpperCase() : character;
    at += length;
  }
  return result;
}

export function caseFold(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, foldCharacter).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function foldCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  if (character === 'ı' || (code >= 0x13a0 && code <= 0x13f5)) return character;
  if (code >= 0x13f8 && code <= 0x13fd) return String.fromCodePoint(code - 8);
  if (code >= 0xab70 && code <= 0xabbf) return String.fromCodePoint(code - 0xab70 + 0x13a0);
  if (character === 'İ') return 'i\u0307';
  if (character === 'ẞ') return 'ss';
  return character.toUpperCase().toLowerCase();
}
