/** A piece of a pattern; what depends on flags is resolved already. */
export type RegexNode =
  | {
      readonly kind: 'set';
      readonly negated: boolean;
      readonly items: readonly SetItem[];
      readonly ignoreCase: boolean;
      readonly ascii: boolean;
    }
  | { readonly kind: 'any'; readonly newlines: boolean }
  | { readonly kind: 'position'; readonly where: Position; readonly ascii: boolean }
  | {
      readonly kind: 'repeat';
      readonly min: number;
      readonly max: number;
      readonly mode: '' | '?' | '+';
      readonly body: RegexNode;
    }
  | { readonly kind: 'branch'; readonly options: readonly RegexNode[] }
  | { readonly kind: 'sequence'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'group'; readonly number: number; readonly body: RegexNode }
  | { readonly kind: 'atomic'; readonly body: RegexNode }
  | { readonly kind: 'look'; readonly behind: boolean; readonly negated: boolean; readonly body: RegexNode }
  | { readonly kind: 'reference'; readonly number: number; readonly ignoreCase: boolean };

/** `lineStart` and `lineEnd` are `^` and `$` with the flag m; `end` is `$` without it, which a last newline may follow. */
export type Position = 'start' | 'end' | 'lineStart' | 'lineEnd' | 'absoluteEnd' | 'wordEdge' | 'noWordEdge';

/** Code points from `low` to `high`, or one of Python's categories. */
export type SetItem = { readonly low: number; readonly high: number } | { readonly category: Category };
export type Category = 'd' | 'D' | 's' | 'S' | 'w' | 'W';

/** Why a pattern is not one, for Python or for us. */
export class PatternFault extends Error {
  override readonly name = 'PatternFault';
}

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
  readonly x: boolean;
  readonly a: boolean;
}

const isDigit = (char: string | undefined): boolean => char !== undefined && /^[0-9]$/.test(char);
const isOctal = (char: string | undefined): boolean => char !== undefined && /^[0-7]$/.test(char);
const controls: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
const identifier = /^[\p{ID_Start}_][\p{ID_Continue}]*$/u;

/**
 * Parse a pattern by the rules of Python 3.11's `re` for text. What Python refuses is refused, and so is what has no
 * counterpart in JavaScript: conditionals and `\N{...}`.
 *
 * @param deepest how many groups may lie in each other
 * @throws PatternFault
 */
export function parsePythonRegex(pattern: string, deepest: number): RegexNode {
  const source = [...pattern];
  let at = 0;
  let globalFlags: Flags = { i: false, m: false, s: false, x: false, a: false };
  let groups = 1;
  let depth = 0;
  const names = new Map<string, number>();
  const closed = new Set<number>();

  const fault = (what: string): never => {
    throw new PatternFault(`${what} at position ${at}`);
  };
  const take = (text: string): boolean => {
    const found = source.slice(at, at + text.length).join('') === text;
    if (found) at += text.length;
    return found;
  };
  const takeWhile = (most: number, test: (char: string) => boolean): string => {
    const from = at;
    while (at < source.length && at - from < most && test(source[at]!)) at += 1;
    return source.slice(from, at).join('');
  };
  const takeUntil = (end: string): string => {
    const text = takeWhile(Infinity, (char) => char !== end);
    if (text === '') fault('a name is missing');
    if (!take(end)) fault(`"${end}" is missing`);
    return text;
  };

  const alternatives = (flags: Flags, top = false): RegexNode => {
    if (++depth > deepest) fault(`groups within groups, more than ${deepest} deep,`);
    const options = [sequence(flags, top)];
    while (take('|')) options.push(sequence(top ? globalFlags : flags));
    depth -= 1;
    return options.length === 1 ? options[0]! : { kind: 'branch', options };
  };

  const sequence = (given: Flags, first = false): RegexNode => {
    let flags = given;
    const parts: RegexNode[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') {
      const char = source[at]!;
      if (flags.x && /^[ \t\n\r\v\f]$/.test(char)) at += 1;
      else if (flags.x && char === '#') skipLine();
      else if (char === '*' || char === '+' || char === '?' || char === '{') quantifier(parts, flags);
      else if (char === '(') {
        const made = group(flags, first && parts.length === 0);
        if (made === 'flags') flags = globalFlags;
        else if (made !== undefined) parts.push(made);
      } else parts.push(atom(flags));
    }
    return { kind: 'sequence', parts };
  };

  const skipLine = (): void => {
    takeWhile(Infinity, (char) => char !== '\n');
    take('\n');
  };

  const literal = (code: number, { i, a }: Flags): RegexNode => {
    return { kind: 'set', negated: false, items: [{ low: code, high: code }], ignoreCase: i, ascii: a };
  };

  const position = (where: Position, { a }: Flags): RegexNode => ({ kind: 'position', where, ascii: a });

  const atom = (flags: Flags): RegexNode => {
    const char = source[at]!;
    at += 1;
    if (char === '.') return { kind: 'any', newlines: flags.s };
    if (char === '^') return position(flags.m ? 'lineStart' : 'start', flags);
    if (char === '$') return position(flags.m ? 'lineEnd' : 'end', flags);
    if (char === '[') return set(flags);
    if (char === '\\') return escape(flags);
    return literal(char.codePointAt(0)!, flags);
  };

  const quantifier = (parts: RegexNode[], flags: Flags): void => {
    const char = source[at]!;
    at += 1;
    let [min, max] = char === '?' ? [0, 1] : char === '*' ? [0, Infinity] : [1, Infinity];
    if (char === '{') {
      const counted = counts();
      if (counted === undefined) {
        parts.push(literal(0x7b, flags));
        return;
      }
      [min, max] = counted;
    }
    const body = parts.pop();
    if (body === undefined || body.kind === 'position') return fault('nothing to repeat');
    if (body.kind === 'repeat') fault('multiple repeat');
    parts.push({ kind: 'repeat', min, max, mode: take('?') ? '?' : take('+') ? '+' : '', body });
  };

  /** What follows `{`; undefined where it is a literal. */
  const counts = (): [number, number] | undefined => {
    const from = at;
    if (source[at] === '}') return undefined;
    const low = takeWhile(Infinity, isDigit);
    const high = take(',') ? takeWhile(Infinity, isDigit) : low;
    if (!take('}')) {
      at = from;
      return undefined;
    }
    const [min, max] = [low === '' ? 0 : Number(low), high === '' ? Infinity : Number(high)];
    if (max < min) fault('the least number of repeats is greater than the most');
    if (min > 0xfffffffe || (max !== Infinity && max > 0xfffffffe)) fault('the number of repeats is too large');
    return [min, max];
  };

  /** A group; undefined for a comment, `flags` for flags of the whole pattern. */
  const group = (flags: Flags, first: boolean): RegexNode | 'flags' | undefined => {
    at += 1;
    const close = <T>(value: T): T => {
      if (!take(')')) fault('")" is missing');
      return value;
    };
    const capture = (name?: string): RegexNode => {
      const number = groups;
      groups += 1;
      if (name !== undefined) {
        if (!identifier.test(name)) fault(`bad group name "${name}"`);
        if (names.has(name)) fault(`the group name "${name}" is taken`);
        names.set(name, number);
      }
      const body = close(alternatives(flags));
      closed.add(number);
      return { kind: 'group', number, body };
    };
    if (!take('?')) return capture();
    if (take(':')) return close(alternatives(flags));
    if (take('#')) {
      takeWhile(Infinity, (char) => char !== ')');
      return close(undefined);
    }
    if (take('P<')) return capture(takeUntil('>'));
    if (take('P=')) {
      const name = takeUntil(')');
      return reference(names.get(name) ?? fault(`unknown group name "${name}"`), flags);
    }
    if (take('=') || take('!')) {
      const negated = source[at - 1] === '!';
      return close({ kind: 'look', behind: false, negated, body: alternatives(flags) });
    }
    if (take('<=') || take('<!')) {
      const negated = source[at - 1] === '!';
      return close({ kind: 'look', behind: true, negated, body: alternatives(flags) });
    }
    if (take('>')) return close({ kind: 'atomic', body: alternatives(flags) });
    if (take('(')) return fault('a conditional group, which has no counterpart in JavaScript,');
    const changed = readFlags(flags);
    if (changed.scoped) return close(alternatives(changed.flags));
    if (!first) fault('flags of the whole pattern that are not at its start');
    globalFlags = changed.flags;
    return 'flags';
  };

  const readFlags = (flags: Flags): { readonly flags: Flags; readonly scoped: boolean } => {
    const known = (text: string): string => {
      if ([...text].some((char) => !'aimsux'.includes(char))) fault(`unknown extension ?${text}`);
      return text;
    };
    const isFlag = (char: string): boolean => /^[A-Za-z]$/.test(char);
    const on = known(takeWhile(Infinity, isFlag));
    if (on.includes('a') && on.includes('u')) fault('the flags a and u exclude each other');
    if (on !== '' && take(')')) {
      const set = (name: keyof Flags): boolean => flags[name] || on.includes(name);
      return { flags: { i: set('i'), m: set('m'), s: set('s'), x: set('x'), a: set('a') }, scoped: false };
    }
    if (on === '' && source[at] !== '-') fault(`unknown extension ?${source[at] ?? ''}`);
    const minus = take('-');
    const off = minus ? known(takeWhile(Infinity, isFlag)) : '';
    if (minus && (off === '' || /[au]/.test(off))) fault('bad flags to turn off');
    if ([...on].some((char) => off.includes(char))) fault('a flag is turned on and off');
    if (!take(':')) fault('bad flags');
    const set = (name: 'i' | 'm' | 's' | 'x'): boolean => (flags[name] || on.includes(name)) && !off.includes(name);
    const a = on.includes('a') || (flags.a && !on.includes('u'));
    return { flags: { i: set('i'), m: set('m'), s: set('s'), x: set('x'), a }, scoped: true };
  };

  const reference = (number: number, flags: Flags): RegexNode => {
    if (!closed.has(number)) fault(number < groups ? 'a reference to an open group' : `no group ${number}`);
    return { kind: 'reference', number, ignoreCase: flags.i };
  };

  /** Hexadecimal digits after `\x`, `\u` and `\U`. */
  const hexadecimal = (length: number): number => {
    const digits = takeWhile(length, (char) => /^[0-9A-Fa-f]$/.test(char));
    if (digits.length < length) fault('an incomplete escape');
    const code = Number.parseInt(digits, 16);
    return code > 0x10ffff ? fault('an escape beyond Unicode') : code;
  };

  /** Escapes with the same meaning inside and outside of a set. */
  const commonEscape = (char: string): number | { readonly category: Category } => {
    if (/^[dDsSwW]$/.test(char)) return { category: char as Category };
    if (char in controls) return controls[char]!;
    if (char === 'x') return hexadecimal(2);
    if (char === 'u') return hexadecimal(4);
    if (char === 'U') return hexadecimal(8);
    if (char === 'N') return fault('\\N{...}, which is not supported,');
    if (/^[A-Za-z0-9]$/.test(char)) return fault(`bad escape \\${char}`);
    return char.codePointAt(0)!;
  };

  const escape = (flags: Flags): RegexNode => {
    const char = source[at] ?? fault('a backslash at the end');
    at += 1;
    if (char === 'A') return position('start', flags);
    if (char === 'Z') return position('absoluteEnd', flags);
    if (char === 'b') return position('wordEdge', flags);
    if (char === 'B') return position('noWordEdge', flags);
    if (char === '0') return literal(Number.parseInt(`0${takeWhile(2, isOctal)}`, 8), flags);
    if (isDigit(char)) {
      let digits = char;
      if (isDigit(source[at])) {
        digits += source[at]!;
        at += 1;
        if (/^[0-7]{2}$/.test(digits) && isOctal(source[at])) {
          const code = Number.parseInt(digits + source[at]!, 8);
          at += 1;
          if (code > 0o377) fault('an octal escape beyond 0o377');
          return literal(code, flags);
        }
      }
      return reference(Number(digits), flags);
    }
    const made = commonEscape(char);
    if (typeof made === 'number') return literal(made, flags);
    return { kind: 'set', negated: false, items: [made], ignoreCase: flags.i, ascii: flags.a };
  };

  const setEscape = (): number | { readonly category: Category } => {
    const char = source[at] ?? fault('a set has no end');
    at += 1;
    if (char === 'b') return 8;
    if (isOctal(char)) {
      const code = Number.parseInt(char + takeWhile(2, isOctal), 8);
      return code > 0o377 ? fault('an octal escape beyond 0o377') : code;
    }
    return commonEscape(char);
  };

  const set = (flags: Flags): RegexNode => {
    const negated = take('^');
    const items: SetItem[] = [];
    const member = (): number | { readonly category: Category } => {
      const char = source[at] ?? fault('a set has no end');
      at += 1;
      return char === '\\' ? setEscape() : char.codePointAt(0)!;
    };
    const add = (item: number | { readonly category: Category }): void =>
      void items.push(typeof item === 'number' ? { low: item, high: item } : item);
    // A bracket is a literal where it would make the set empty.
    while (items.length === 0 || !take(']')) {
      const low = member();
      if (source[at] !== '-' || source[at + 1] === ']') {
        add(low);
        continue;
      }
      at += 1;
      const high = member();
      if (typeof low !== 'number' || typeof high !== 'number' || high < low) fault('a bad range of characters');
      items.push({ low: low as number, high: high as number });
    }
    return { kind: 'set', negated, items, ignoreCase: flags.i, ascii: flags.a };
  };

  const parsed = alternatives(globalFlags, true);
  if (at < source.length) fault('an unbalanced ")"');
  return parsed;
}
