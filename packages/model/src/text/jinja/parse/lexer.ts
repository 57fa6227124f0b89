import type { Dialect } from './dialect.js';
import { LimitError, SyntaxFailure } from '../failures.js';
import { escapeCode } from '../values/repr.js';
import { stripEnd, whiteSpace } from '../values/unicode.js';
import { PyFloat, toInt, type Value } from '../values/values.js';

export type TokenType =
  | 'data'
  | 'variable_begin'
  | 'variable_end'
  | 'block_begin'
  | 'block_end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'eof';

export interface Token {
  readonly type: TokenType;
  /** The text of data, names and operators. */
  readonly text: string;
  /** Of strings and numbers. */
  readonly value?: Value;
  readonly line: number;
}

const ws = `[${whiteSpace}]`;
const patterns = {
  raw: new RegExp(`\\{%([-+]?)${ws}*raw${ws}*(?:-%\\}${ws}*|%\\})`, 'y'),
  space: new RegExp(`${ws}+`, 'y'),
  blank: new RegExp(`^${ws}+$`),
  float: /(?:[0-9]+_)*[0-9]+(?:(?:\.(?:[0-9]+_)*[0-9]+)?e[+-]?(?:[0-9]+_)*[0-9]+|\.(?:[0-9]+_)*[0-9]+)/iy,
  integer: /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?[0-9])*|0(?:_?0)*/iy,
  name: /[\p{L}\p{N}\p{XID_Continue}_]+/uy,
  identifier: /^[\p{XID_Start}_][\p{XID_Continue}]*$/u,
  string: /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y,
  operator: /\*\*|\/\/|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y,
};

function endOfBlock(trim: boolean): RegExp {
  return new RegExp(`\\+%\\}|-%\\}${ws}*|%\\}${trim ? '\\n?' : ''}`, 'y');
}

const endOfVariable = new RegExp(`-\\}\\}${ws}*|\\}\\}`, 'y');
const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

const countLines = (text: string): number => text.split('\n').length - 1;

/** The tokens of a template; Jinja's rules for the white space around its tags are applied. */
export function tokenize(template: string, dialect: Dialect): Token[] {
  let source = template.replace(/\r\n?/g, '\n');
  if (!dialect.keepTrailingNewline && source.endsWith('\n')) source = source.slice(0, -1);
  const trim = dialect.trimBlocks;
  const blockEnd = endOfBlock(trim);
  const commentEnd = new RegExp(`\\+#\\}|-#\\}${ws}*|#\\}${trim ? '\\n?' : ''}`, 'g');
  const rawEnd = new RegExp(`\\{%([-+]?)${ws}*endraw${ws}*(?:\\+%\\}|-%\\}${ws}*|%\\}${trim ? '\\n?' : ''})`, 'g');
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let startsLine = true;

  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const advance = (text: string): void => {
    at += text.length;
    line += countLines(text);
  };
  const push = (type: TokenType, text: string, value?: Value): void => {
    tokens.push(value === undefined ? { type, text, line } : { type, text, value, line });
  };

  /** Text before a tag, without the white space that the tag takes away. */
  const data = (text: string, sign: string, isVariable: boolean): void => {
    let kept = text;
    if (sign === '-') kept = stripEnd(text);
    else if (sign !== '+' && trim && !isVariable) {
      const lineStart = text.lastIndexOf('\n') + 1;
      if ((lineStart > 0 || startsLine) && patterns.blank.test(text.slice(lineStart))) kept = text.slice(0, lineStart);
    }
    if (kept !== '') push('data', kept);
    advance(text);
  };

  const inside = (kind: 'block' | 'variable'): void => {
    push(`${kind}_begin`, '');
    const open: string[] = [];
    for (;;) {
      const end = open.length === 0 ? match(kind === 'block' ? blockEnd : endOfVariable) : undefined;
      if (end !== undefined) {
        push(`${kind}_end`, end);
        advance(end);
        startsLine = end.endsWith('\n');
        return;
      }
      if (at >= source.length) return;
      const text = expressionToken(open);
      advance(text);
    }
  };

  const expressionToken = (open: string[]): string => {
    const space = match(patterns.space);
    if (space !== undefined) return space;
    const float = source[at - 1] === '.' ? undefined : match(patterns.float);
    if (float !== undefined) return (push('float', float, new PyFloat(Number(float.replaceAll('_', '')))), float);
    const integer = match(patterns.integer);
    if (integer !== undefined) return (push('integer', integer, toInt(BigInt(integer.replaceAll('_', '')))), integer);
    const name = match(patterns.name);
    if (name !== undefined) {
      if (!patterns.identifier.test(name)) throw new SyntaxFailure('Invalid character in identifier', line);
      return (push('name', name), name);
    }
    const string = match(patterns.string);
    if (string !== undefined) return (push('string', string, unescape(string.slice(1, -1), line)), string);
    const operator = match(patterns.operator);
    if (operator === undefined) throw new SyntaxFailure(`unexpected char '${source[at]}' at ${at}`, line);
    if (closing[operator] !== undefined) open.push(closing[operator]);
    else if (operator === ')' || operator === ']' || operator === '}') {
      const expected = open.pop();
      if (expected === undefined) throw new SyntaxFailure(`unexpected '${operator}'`, line);
      if (expected !== operator) throw new SyntaxFailure(`unexpected '${operator}', expected '${expected}'`, line);
    }
    push('operator', operator);
    return operator;
  };

  const tag = /\{[{%#]/g;
  for (;;) {
    tag.lastIndex = at;
    const found = tag.exec(source);
    if (found === null) break;
    const start = found.index;
    patterns.raw.lastIndex = start;
    const raw = patterns.raw.exec(source);
    if (raw !== null) {
      data(source.slice(at, start), raw[1]!, false);
      advance(raw[0]);
      startsLine = raw[0].endsWith('\n');
      rawEnd.lastIndex = at;
      const end = rawEnd.exec(source);
      if (end === null) {
        if (at === source.length) break;
        throw new SyntaxFailure('Missing end of raw directive', line);
      }
      data(source.slice(at, end.index), end[1]!, false);
      advance(end[0]);
      startsLine = end[0].endsWith('\n');
      continue;
    }
    const sign = /[-+]/.test(source[start + 2] ?? '') ? source[start + 2]! : '';
    const kind = found[0];
    data(source.slice(at, start), sign, kind === '{{');
    advance(kind + sign);
    startsLine = false;
    if (kind === '{#') {
      commentEnd.lastIndex = at;
      const end = commentEnd.exec(source);
      if (end === null) {
        // Jinja finds a comment's end missing only where it has a character.
        if (at === source.length) break;
        throw new SyntaxFailure('Missing end of comment tag', line);
      }
      advance(source.slice(at, end.index) + end[0]);
      startsLine = end[0].endsWith('\n');
    } else inside(kind === '{{' ? 'variable' : 'block');
  }
  if (at < source.length) push('data', source.slice(at));
  advance(source.slice(at));
  push('eof', '');
  return tokens;
}

const escapes: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** A string literal's text, by Python's `unicode-escape`. */
function unescape(literal: string, line: number): string {
  if (!literal.includes('\\')) return literal;
  // Jinja writes what is not ASCII as escapes first, so a backslash in front of it escapes that one's backslash.
  const ascii = literal.replace(/[^\0-\x7f]/gu, escapeCode);
  return ascii.replace(/\\(?:([0-7]{1,3})|x(.{0,2})|u(.{0,4})|U(.{0,8})|(N\{)|([\s\S]))/gs, (...groups: string[]) => {
    const [whole, octal, hex2, hex4, hex8, named, other] = groups;
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    if (named !== undefined) throw new LimitError('characters by name (\\N{...})');
    if (other === 'N') throw new SyntaxFailure('malformed \\N character escape', line);
    if (other !== undefined) return escapes[other] ?? whole!;
    const [digits, size] = hex2 !== undefined ? [hex2, 2] : hex4 !== undefined ? [hex4, 4] : [hex8!, 8];
    const code = /^[0-9a-f]+$/i.test(digits) && digits.length === size ? Number.parseInt(digits, 16) : Infinity;
    if (code > 0x10ffff) throw new SyntaxFailure(`truncated or illegal \\${whole![1]} escape`, line);
    return String.fromCodePoint(code);
  });
}
