import { quoteValue } from '@glulam/files';
import { unsupported } from '../component.js';
import { caseVariants, hasLongFolding } from './case-variants.js';

// tokenizer.json holds regular expressions of Oniguruma (Ruby's syntax). Here they become JavaScript's, with flag v.
// Differences that matter: ^ and $ are of lines; \s, \w, \d and \b know Unicode, \s has U+0085 and not U+FEFF; \h is a
// hexadecimal digit; possessive and atomic groups; options for a part of the pattern; POSIX brackets.

interface Options {
  ignoreCase: boolean;
  dotAll: boolean;
  extended: boolean;
}

const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';
// Outside of brackets, Oniguruma takes these six for word characters as well.
const BARE_WORD = `${WORD}\\xb2\\xb3\\xb9\\xbc-\\xbe`;

// A class by its members, as they stand within brackets.
const POSIX: Readonly<Record<string, string>> = {
  alnum: '\\p{Alphabetic}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  ascii: '\\x00-\\x7f',
  blank: '\\p{Zs}\\t',
  cntrl: '\\p{Cc}',
  digit: '\\p{Nd}',
  graph: '[^\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]',
  lower: '\\p{Lowercase}',
  print: '[^\\p{Cc}\\p{Cn}\\p{Cs}\\p{Zl}\\p{Zp}]',
  punct: '\\p{P}\\p{S}',
  space: '\\p{White_Space}',
  upper: '\\p{Uppercase}',
  xdigit: '0-9a-fA-F',
  word: WORD,
};

const CATEGORIES = new Set(
  (
    'L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cn Co ' +
    'Letter Uppercase_Letter Lowercase_Letter Titlecase_Letter Cased_Letter LC Modifier_Letter Other_Letter Mark ' +
    'Nonspacing_Mark Spacing_Mark Enclosing_Mark Number Decimal_Number Letter_Number Other_Number Punctuation ' +
    'Connector_Punctuation Dash_Punctuation Open_Punctuation Close_Punctuation Initial_Punctuation Final_Punctuation ' +
    'Other_Punctuation Symbol Math_Symbol Currency_Symbol Modifier_Symbol Other_Symbol Separator Space_Separator ' +
    'Line_Separator Paragraph_Separator Other Control Format Unassigned Private_Use ' +
    'Alphabetic Uppercase Lowercase White_Space Emoji Ideographic ASCII Any Assigned'
  ).split(' '),
);
const PROPERTIES = new Map([...CATEGORIES].map((name) => [plain(name), name]));

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v', a: '\x07', e: '\x1b' };

// Compiling cannot be interrupted. The longest pattern of a published tokenizer has some 600 characters.
const longestPattern = 10_000;
const deepestGroup = 50;

/**
 * Compiles a pattern of Oniguruma for JavaScript.
 *
 * @throws ModelError TOKENIZER_UNSUPPORTED naming what has no equivalent
 */
export function compileOniguruma(pattern: string): RegExp {
  if (pattern.length > longestPattern)
    throw refuse(pattern, `it has ${pattern.length} characters; expected at most ${longestPattern}`);
  const source = translate(pattern);
  try {
    const regex = new RegExp(source, 'gv');
    regex.test(''); // compiles it: what is too large for JavaScript fails here
    regex.lastIndex = 0;
    return regex;
  } catch (error) {
    throw refuse(pattern, `it cannot be written for JavaScript: ${(error as Error).message}`);
  }
}

function refuse(pattern: string, what: string): Error {
  return unsupported(`the regular expression ${quoteValue(pattern)}: ${what}`);
}

function translate(pattern: string): string {
  const characters = [...pattern];
  let at = 0;
  let atomics = 0;
  let depth = 0;
  const fail = (what: string): Error => refuse(pattern, what);
  const looksAt = (text: string): boolean => characters.slice(at, at + text.length).join('') === text;

  const atomic = (body: string): string => {
    const name = `a${atomics++}`;
    return `(?:(?=(?<${name}>${body}))\\k<${name}>)`;
  };

  // Up to the closing parenthesis or the end.
  function alternatives(options: Options): string {
    if (++depth > deepestGroup) throw fail(`groups within groups, more than ${deepestGroup} deep`);
    let source = '';
    const own = { ...options };
    let literals = ''; // neighbours that ignore case: Oniguruma folds "ss" and ß into one
    const endLiterals = (): void => {
      if (hasLongFolding(literals)) throw fail(`(?i) with ${JSON.stringify(literals)}, which folds to another length`);
      literals = '';
    };
    while (at < characters.length && characters[at] !== ')') {
      const character = characters[at]!;
      if (character === '|') {
        endLiterals();
        source += '|';
        at++;
        continue;
      }
      if (own.extended && /[\t\n\v\f\r ]/.test(character)) {
        at++;
        continue;
      }
      if (own.extended && character === '#') {
        while (at < characters.length && characters[at] !== '\n') at++;
        continue;
      }
      const before = at;
      const item = atom(own);
      if (typeof item !== 'string') {
        // Options from here to the end of the group, alternatives included.
        if (item.rest === undefined) continue;
        endLiterals();
        source += `(?:${alternatives(item.rest)})`;
        continue;
      }
      const quantified = quantify(item);
      const isLiteral = own.ignoreCase && at === before + 1 && !'.[(^$\\'.includes(character);
      if (isLiteral) literals += character;
      else endLiterals();
      source += quantified;
    }
    endLiterals();
    depth--;
    return source;
  }

  function quantify(item: string): string {
    let source = item;
    for (;;) {
      const character = characters[at];
      let range: string | undefined;
      let possessive = false;
      if (character === '*' || character === '+' || character === '?') {
        range = character;
        at++;
        if (characters[at] === '+') {
          possessive = true;
          at++;
        }
      } else if (character === '{') {
        const match = /^\{(?:(\d+)(,?)(\d*)|,(\d+))\}/.exec(characters.slice(at, at + 24).join(''));
        if (match === null) return source; // a literal
        const [whole, low, comma, high, most] = match;
        range = most === undefined ? `{${low}${comma}${high}}` : `{0,${most}}`;
        at += whole.length;
      } else return source;
      const lazy = !possessive && characters[at] === '?';
      if (lazy) at++;
      if (/^\(\?<?[=!]/.test(source)) throw fail('a lookaround that is repeated');
      source = possessive ? atomic(source + range) : source + range + (lazy ? '?' : '');
      if ('*+?{'.includes(characters[at] ?? ' ')) source = `(?:${source})`;
    }
  }

  function atom(options: Options): string | { rest: Options | undefined } {
    const character = characters[at++]!;
    switch (character) {
      case '(':
        return group(options);
      case '[':
        return bracket(options);
      case '.':
        return options.dotAll ? '[\\s\\S]' : '[^\\n]';
      case '^':
        return '(?:^|(?<=\\n)(?!$))';
      case '$':
        return '(?=\\n|$)';
      case '\\':
        return escape(options);
      case '*':
      case '+':
      case '?':
        throw fail(`"${character}" with nothing before it`);
      default:
        return literal(character, options);
    }
  }

  function literal(character: string, options: Options): string {
    if (!options.ignoreCase) return quote(character);
    const variants = caseVariants(character);
    return variants.length === 1 ? quote(character) : `[${variants.map(quoteInBrackets).join('')}]`;
  }

  function group(options: Options): string | { rest: Options | undefined } {
    const close = (inner: Options): string => {
      const body = alternatives(inner);
      if (characters[at] !== ')') throw fail('a group is not closed');
      at++;
      return body;
    };
    if (characters[at] !== '?') return `(?:${close(options)})`;
    at++;
    for (const look of ['<=', '<!', '=', '!']) {
      if (looksAt(look)) {
        at += look.length;
        return `(?${look}${close(options)})`;
      }
    }
    const next = characters[at++];
    if (next === ':') return `(?:${close(options)})`;
    if (next === '>') return atomic(close(options));
    if (next === '#') {
      while (at < characters.length && characters[at] !== ')') at++;
      at++;
      return { rest: undefined };
    }
    if (next === '<' || next === "'") {
      const end = characters.indexOf(next === '<' ? '>' : "'", at);
      if (end < 0) throw fail('the name of a group is not closed');
      at = end + 1;
      return `(?:${close(options)})`;
    }
    at--;
    const inner = { ...options };
    for (let value = true; ; at++) {
      const flag = characters[at];
      if (flag === '-') value = false;
      else if (flag === 'i') inner.ignoreCase = value;
      else if (flag === 'm') inner.dotAll = value;
      else if (flag === 'x') inner.extended = value;
      else if (flag === ':') {
        at++;
        return `(?:${close(inner)})`;
      } else if (flag === ')') {
        at++;
        return { rest: inner };
      } else throw fail(`the group (?${flag ?? ''}`);
    }
  }

  function escape(options: Options): string {
    const character = characters[at++];
    switch (character) {
      case undefined:
        throw fail('it ends with a backslash');
      case 'A':
        return '^';
      case 'z':
        return '$';
      case 'Z':
        return '(?=\\n?$)';
      case 'b':
        return `(?:(?<=[${BARE_WORD}])(?![${BARE_WORD}])|(?<![${BARE_WORD}])(?=[${BARE_WORD}]))`;
      case 'B':
        return `(?:(?<=[${BARE_WORD}])(?=[${BARE_WORD}])|(?<![${BARE_WORD}])(?![${BARE_WORD}]))`;
      case 'w':
        return `[${BARE_WORD}]`;
      case 'W':
        return `[^${BARE_WORD}]`;
      case 'R':
        return atomic('\\r\\n|[\\n-\\r\\x85\\u2028\\u2029]');
      case 'N':
        return '[^\\n]';
      case 'O':
        return '[\\s\\S]';
    }
    if (/[1-9]/.test(character)) throw fail(`the reference back \\${character}`);
    if (/[XKGykgCM]/.test(character)) throw fail(`\\${character}`);
    const members = escapedClass(character);
    if (members !== undefined) return `[${members}]`;
    return literal(escapedCharacter(character), options);
  }

  /** The members of `\d`, `\p{L}` and the like, or undefined for an escaped character. */
  function escapedClass(character: string): string | undefined {
    switch (character) {
      case 'd':
        return '\\p{Nd}';
      case 'D':
        return '\\P{Nd}';
      case 's':
        return '\\p{White_Space}';
      case 'S':
        return '\\P{White_Space}';
      case 'w':
        return WORD;
      case 'W':
        return `[^${WORD}]`;
      case 'h':
        return '0-9a-fA-F';
      case 'H':
        return '[^0-9a-fA-F]';
      case 'p':
      case 'P': {
        const end = characters.indexOf('}', at);
        if (characters[at] !== '{' || end < 0) throw fail(`\\${character} without {a property}`);
        const name = characters.slice(at + 1, end).join('');
        at = end + 1;
        return property(name, character === 'P');
      }
      default:
        return undefined;
    }
  }

  function property(written: string, negated: boolean): string {
    const inverted = written.startsWith('^');
    const name = plain(inverted ? written.slice(1) : written);
    const not = negated !== inverted;
    if (POSIX[name] !== undefined && name !== 'punct') {
      const members = name === 'word' ? BARE_WORD : POSIX[name];
      return not ? `[^${members}]` : members;
    }
    if (name === 'punct') return not ? '\\P{P}' : '\\p{P}';
    const known = PROPERTIES.get(name) ?? scriptOf(written.replace('^', ''));
    if (known === undefined) throw fail(`the property \\p{${written}}`);
    return `\\${not ? 'P' : 'p'}{${known}}`;
  }

  function escapedCharacter(character: string): string {
    if (ESCAPES[character] !== undefined) return ESCAPES[character];
    const rest = characters.slice(at, at + 12).join('');
    const hex =
      character === 'x'
        ? (/^\{([\da-fA-F]{1,8})\}/.exec(rest) ?? /^([\da-fA-F]{1,2})/.exec(rest))
        : character === 'u'
          ? /^([\da-fA-F]{4})/.exec(rest)
          : null;
    if (hex !== null) {
      at += hex[0].length;
      const code = parseInt(hex[1]!, 16);
      if (character === 'x' && !hex[0].startsWith('{') && code > 0x7f) throw fail(`the byte \\x${hex[1]}`);
      return String.fromCodePoint(code);
    }
    if (character === '0') {
      const octal = /^[0-7]{0,2}/.exec(rest)![0];
      at += octal.length;
      return String.fromCharCode(parseInt(`0${octal}`, 8));
    }
    if (/[xucCM0-9]/.test(character)) throw fail(`\\${character}${rest.slice(0, 4)}`);
    return character;
  }

  /** A class in brackets, after its opening one. */
  function bracket(options: Options): string {
    if (++depth > deepestGroup) throw fail(`sets within sets, more than ${deepestGroup} deep`);
    const negated = characters[at] === '^';
    if (negated) at++;
    const parts: string[] = [];
    let members = '';
    let first = true;
    for (; ; first = false) {
      const character = characters[at++];
      if (character === undefined) throw fail('a bracket is not closed');
      if (character === ']' && !first) break;
      if (character === '&' && characters[at] === '&') {
        at++;
        parts.push(members);
        members = '';
        continue;
      }
      if (character === '[') {
        members += posix() ?? bracket(options);
        continue;
      }
      let low = character;
      if (character === '\\') {
        const escaped = characters[at++];
        if (escaped === undefined) throw fail('it ends with a backslash');
        const named = escaped === 'R' || escaped === 'X' ? undefined : escapedClass(escaped);
        if (named !== undefined) {
          if (options.ignoreCase && /^\\[pP]\{(L[ult]|.*case)/.test(named)) throw fail(`(?i) with [${named}]`);
          members += named;
          continue;
        }
        low = escaped === 'b' ? '\b' : escapedCharacter(escaped);
      }
      let high = low;
      if (characters[at] === '-' && characters[at + 1] !== ']' && characters[at + 1] !== undefined) {
        at++;
        high = characters[at++]!;
        if (high === '[') throw fail('a range of characters that ends with a bracket');
        if (high === '\\') {
          const escaped = characters[at++]!;
          if (/[dDsSwWhHpPRX]/.test(escaped)) throw fail(`a range of characters that ends with \\${escaped}`);
          high = escapedCharacter(escaped);
        }
      }
      members += range(low, high, options);
    }
    parts.push(members);
    depth--;
    const body = parts.length === 1 ? parts[0]! : parts.map((part) => (part === '' ? '[]' : `[${part}]`)).join('&&');
    return `[${negated ? '^' : ''}${body}]`;
  }

  function range(low: string, high: string, options: Options): string {
    const [from, to] = [low.codePointAt(0)!, high.codePointAt(0)!];
    if (from > to) throw fail(`the range ${low}-${high}`);
    const plainRange = from === to ? quoteInBrackets(low) : `${quoteInBrackets(low)}-${quoteInBrackets(high)}`;
    if (!options.ignoreCase) return plainRange;
    if (to - from > 4096) throw fail(`(?i) with the range ${low}-${high}`);
    const extra = new Set<string>();
    for (let code = from; code <= to; code++) {
      const character = String.fromCodePoint(code);
      if (hasLongFolding(character)) throw fail(`(?i) with ${JSON.stringify(character)}`);
      for (const variant of caseVariants(character)) extra.add(variant);
    }
    return [...extra].map(quoteInBrackets).join('');
  }

  function posix(): string | undefined {
    const match = /^:(\^?)([a-z]+):\]/.exec(characters.slice(at, at + 12).join(''));
    if (match === null) return undefined;
    const members = POSIX[match[2]!];
    if (members === undefined) throw fail(`the bracket [[:${match[2]}:]]`);
    at += match[0].length;
    return match[1] === '^' ? `[^${members}]` : members;
  }

  const source = alternatives({ ignoreCase: false, dotAll: false, extended: false });
  if (at < characters.length) throw fail('a ")" that closes nothing');
  return source;
}

/** Names of properties are compared without case, spaces, hyphens and underscores. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[ _-]/g, '');
}

function scriptOf(name: string): string | undefined {
  // JavaScript writes scripts in one form: Old_Italic.
  const script = name
    .trim()
    .toLowerCase()
    .replace(/[ -]/g, '_')
    .replace(/(^|_)([a-z])/g, (_, gap: string, letter: string) => gap + letter.toUpperCase());
  try {
    new RegExp(`\\p{Script=${script}}`, 'v');
    return `Script=${script}`;
  } catch {
    return undefined; // no such script: the caller refuses it by name
  }
}

function quote(character: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(character) ? `\\${character}` : unicode(character);
}

function quoteInBrackets(character: string): string {
  return /[\^\\()[\]{}/\-|&!#$%*+,.:;<=>?@`~]/.test(character) ? `\\${character}` : unicode(character);
}

// Marks, spaces and the like as numbers, for messages and logs.
function unicode(character: string): string {
  return /[\p{L}\p{N}\x20-\x7e]/u.test(character) ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
