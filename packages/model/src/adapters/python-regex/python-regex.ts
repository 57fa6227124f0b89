import { quoteValue } from '@glulam/files';
import { ModelError } from '../../errors.js';
import { describeTimeout } from '../../text/regex-timeout.js';
import { createTimeLimit, OutOfTime, type TimeLimit } from '../../text/time-limit.js';
import { mostAttempts } from './most-attempts.js';
import {
  parsePythonRegex,
  PatternFault,
  type Category,
  type Position,
  type RegexNode,
  type SetItem,
} from './parse-python-regex.js';

/** PEFT's patterns are Python's. Both ask of the whole text from its start. */
interface PythonRegex {
  /**
   * `re.fullmatch`
   *
   * @param field where the pattern stands, for messages
   * @throws ModelError PATTERN_TIMEOUT
   */
  fullMatch(text: string, field?: string): boolean;
  /** `re.match`: the pattern matches at the start of the text. The rest is as for `fullMatch`. */
  match(text: string, field?: string): boolean;
}

/** Every site of a model asks for the same few patterns. */
const compiled = new Map<string, PythonRegex>();
const mostCompiled = 1000;
/** Answers that a pattern keeps: about the linear layers of 4,096 decoder layers. */
const mostKnown = 50_000;
// Compiling cannot be interrupted. All modules of a large model as one pattern have some 20,000 characters.
const longestPattern = 50_000;
const deepestPattern = 50;
const quickLength = 100;
const quickAttempts = 2000;

/**
 * A pattern of Python's `re` as JavaScript's, which matches the same texts.
 *
 * @throws ModelError ADAPTER_INVALID if Python refuses the pattern, or JavaScript cannot say it: conditional groups,
 *   references to groups that may not have taken part or lie in a lookbehind or a repeat, references and letters beyond
 *   ASCII where case is ignored; or if it is too long or nested too deep
 */
export function pythonRegex(pattern: string): PythonRegex {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const regex = following(pattern, () => compile(pattern));
  if (compiled.size === mostCompiled) compiled.clear();
  compiled.set(pattern, regex);
  return regex;
}

function compile(pattern: string): PythonRegex {
  if (pattern.length > longestPattern)
    throw new PatternFault(`it has ${pattern.length} characters, more than ${longestPattern}`);
  const node = parsePythonRegex(pattern, deepestPattern);
  const source = translate(node);
  const limit = createTimeLimit();
  // Most patterns need no limit, which takes longer than the match.
  const isQuick = mostAttempts(node, quickLength) <= quickAttempts;
  const tester = (whole: string): PythonRegex['match'] => {
    const regex = toRegExp(whole);
    const known = new Map<string, boolean>();
    return (path, field = 'a pattern') => {
      if (isQuick && path.length <= quickLength) return regex.test(path);
      const found =
        known.get(path) ?? testLimited(limit, regex, path, `${field}: the regular expression ${quoteValue(pattern)}`);
      if (known.size === mostKnown) known.clear();
      known.set(path, found);
      return found;
    };
  };
  return { fullMatch: tester(`^(?:${source})$`), match: tester(`^(?:${source})`) };
}

function toRegExp(source: string): RegExp {
  try {
    const regex = new RegExp(source, 'v');
    regex.test(''); // compiles it: what is too large for JavaScript fails here
    return regex;
  } catch (cause) {
    throw new PatternFault(`it cannot be written for JavaScript: ${(cause as Error).message.slice(-100)}`);
  }
}

function testLimited(limit: TimeLimit, regex: RegExp, path: string, what: string): boolean {
  try {
    return limit.run(path.length, () => regex.test(path));
  } catch (cause) {
    if (!(cause instanceof OutOfTime)) throw cause;
    const message = describeTimeout(`${what}, matched with ${quoteValue(path)},`, path.length, cause);
    throw new ModelError('PATTERN_TIMEOUT', message, { cause });
  }
}

function following<T>(pattern: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof PatternFault)) throw cause;
    throw new ModelError('ADAPTER_INVALID', patternMessage(pattern, cause), { cause });
  }
}

const patternMessage = (pattern: string, { message }: PatternFault): string =>
  `${quoteValue(pattern)} cannot be followed: ${message}; expected one of Python's regular expressions`;

/** What is wrong with a pattern; undefined: nothing. */
export function pythonRegexFault(pattern: string): string | undefined {
  try {
    pythonRegex(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof ModelError) return error.message;
    throw error;
  }
}

const words = { true: '[A-Za-z0-9_]', false: String.raw`[\p{L}\p{N}_]` };
const categories: Readonly<Record<'d' | 's' | 'w', { readonly true: string; readonly false: string }>> = {
  d: { true: '[0-9]', false: String.raw`\p{Nd}` },
  s: {
    true: String.raw`[\t-\r ]`,
    false: String.raw`[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`,
  },
  w: words,
};

function category(name: Category, ascii: boolean): string {
  const positive = categories[name.toLowerCase() as 'd' | 's' | 'w'][`${ascii}`];
  return name === name.toLowerCase() ? positive : `[^${positive}]`;
}

function position(where: Position, ascii: boolean): string {
  const word = words[`${ascii}`];
  switch (where) {
    case 'start':
      return '^';
    case 'absoluteEnd':
      return '$';
    case 'end':
      return String.raw`(?=\n?$)`;
    case 'lineStart':
      return String.raw`(?<![^\n])`;
    case 'lineEnd':
      return String.raw`(?![^\n])`;
    case 'wordEdge':
      return `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`;
    case 'noWordEdge':
      // Before 3.14 it is in no empty text.
      return `(?!^$)(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`;
  }
}

/** Letters beyond ASCII that Python takes for an ASCII letter where case is ignored. */
const lookAlikes: Readonly<Record<string, readonly number[]>> = { i: [0x130, 0x131], k: [0x212a], s: [0x17f] };

/** The other cases of what is in a set. */
function otherCases(items: readonly SetItem[], ascii: boolean): SetItem[] {
  return items.flatMap((item): SetItem[] => {
    if ('category' in item) return [];
    if (item.high > 0x7f) throw new PatternFault('letters beyond ASCII where case is ignored are not supported');
    const others: SetItem[] = [];
    for (let code = item.low; code <= item.high; code++) {
      const letter = String.fromCodePoint(code);
      if (!/[A-Za-z]/.test(letter)) continue;
      others.push({ low: code ^ 0x20, high: code ^ 0x20 });
      if (!ascii) for (const alike of lookAlikes[letter.toLowerCase()] ?? []) others.push({ low: alike, high: alike });
    }
    return others;
  });
}

const escaped = (code: number): string => `\\u{${code.toString(16)}}`;

function set({ items, negated, ignoreCase, ascii }: RegexNode & { readonly kind: 'set' }): string {
  const all = ignoreCase ? [...items, ...otherCases(items, ascii)] : items;
  const inside = all.map((item) => {
    if ('category' in item) return category(item.category, ascii);
    return item.low === item.high ? escaped(item.low) : `${escaped(item.low)}-${escaped(item.high)}`;
  });
  return `[${negated ? '^' : ''}${inside.join('')}]`;
}

/** The least and the most that a node matches, in code points. */
function widths(node: RegexNode): readonly [number, number] {
  switch (node.kind) {
    case 'set':
    case 'any':
      return [1, 1];
    case 'position':
    case 'look':
      return [0, 0];
    case 'group':
    case 'atomic':
      return widths(node.body);
    case 'reference':
      return [0, Infinity];
    case 'repeat': {
      const [least, most] = widths(node.body);
      return [least * node.min, most === 0 || node.max === 0 ? 0 : most * node.max];
    }
    case 'branch': {
      const all = node.options.map(widths);
      return [Math.min(...all.map(([least]) => least)), Math.max(...all.map(([, most]) => most))];
    }
    case 'sequence':
      return node.parts.map(widths).reduce(([a, b], [least, most]) => [a + least, b + most], [0, 0]);
  }
}

interface Place {
  /** Groups that have surely taken part when the matcher gets here. */
  readonly set: Set<number>;
  readonly behind: boolean;
  /** In a group that is not entered again, where the first match alone counts. */
  readonly firstOnly: boolean;
}

function translate(root: RegexNode): string {
  const referred = new Set<number>();
  let atomics = 0;

  const emit = (node: RegexNode, place: Place): string => {
    switch (node.kind) {
      case 'set':
        return set(node);
      case 'any':
        return node.newlines ? String.raw`[\s\S]` : String.raw`[^\n]`;
      case 'position':
        return position(node.where, node.ascii);
      case 'sequence':
        return node.parts.map((part) => emit(part, place)).join('');
      case 'branch': {
        const ways = node.options.map((option) => {
          const set = new Set(place.set);
          return { set, text: emit(option, { ...place, set }) };
        });
        for (const number of ways[0]!.set) if (ways.every(({ set }) => set.has(number))) place.set.add(number);
        return `(?:${ways.map(({ text }) => text).join('|')})`;
      }
      case 'group': {
        const body = emit(node.body, place);
        place.set.add(node.number);
        return `(?<g${node.number}>${body})`;
      }
      case 'reference':
        if (place.behind) throw new PatternFault('a reference in a lookbehind is not supported');
        if (node.ignoreCase) throw new PatternFault('a reference where case is ignored is not supported');
        if (!place.set.has(node.number))
          throw new PatternFault(
            `the reference to group ${node.number}, which may not have taken part or is repeated, is not supported`,
          );
        referred.add(node.number);
        return String.raw`\k<g${node.number}>`;
      case 'look': {
        const [least, most] = widths(node.body);
        if (node.behind && least !== most) throw new PatternFault('a lookbehind needs a fixed width');
        const set = new Set(place.set);
        const body = emit(node.body, { set, behind: place.behind || node.behind, firstOnly: true });
        // What is captured in a lookahead stays.
        if (!node.negated && !node.behind) for (const number of set) place.set.add(number);
        return `(?${node.behind ? '<' : ''}${node.negated ? '!' : '='}${body})`;
      }
      case 'atomic':
        return atomic(emit(node.body, { ...place, firstOnly: true }), place);
      case 'repeat': {
        const { min, max, mode, body } = node;
        const possessive = mode === '+';
        const firstOnly = place.firstOnly || possessive;
        if (firstOnly && max > 1 && widths(body)[0] === 0)
          throw new PatternFault('a repeat of what may be empty, where the first match alone counts, is not supported');
        const set = new Set(place.set);
        const text = emit(body, { ...place, set, firstOnly });
        if (min > 0 && max === 1) for (const number of set) place.set.add(number);
        const counts = max === Infinity ? `{${min},}` : `{${min},${max}}`;
        const repeat = `(?:${text})${counts}${mode === '?' ? '?' : ''}`;
        return possessive ? atomic(repeat, place) : repeat;
      }
    }
  };

  /** JavaScript's lookaheads are atomic: look, keep what was found, and take exactly that. */
  const atomic = (body: string, { behind }: Place): string => {
    if (behind) throw new PatternFault('an atomic group in a lookbehind is not supported');
    atomics += 1;
    return String.raw`(?:(?=(?<a${atomics}>${body}))\k<a${atomics}>)`;
  };

  const text = emit(root, { set: new Set(), behind: false, firstOnly: false });
  // Groups that nothing refers to need no name.
  return text.replaceAll(/\(\?<g(\d+)>/g, (name, number: string) => (referred.has(Number(number)) ? name : '(?:'));
}
