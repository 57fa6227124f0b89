import { SyntaxFailure } from '../failures.js';
import type { Token, TokenType } from './lexer.js';

/** The tokens of a template, one after the other. */
export interface TokenStream {
  readonly current: Token;
  next(): Token;
  peek(): Token;
  /** Whether the current token is this name or operator. */
  is(type: 'name' | 'operator', ...texts: readonly string[]): boolean;
  skipIf(type: 'name' | 'operator', text: string): boolean;
  expect(type: TokenType, text?: string): Token;
  fail(message: string, line?: number): never;
}

export function createTokenStream(tokens: readonly Token[]): TokenStream {
  let at = 0;
  const stream: TokenStream = {
    get current() {
      return tokens[at]!;
    },
    next() {
      const token = tokens[at]!;
      if (at < tokens.length - 1) at++;
      return token;
    },
    peek: () => tokens[Math.min(at + 1, tokens.length - 1)]!,
    is: (type, ...texts) => stream.current.type === type && texts.includes(stream.current.text),
    skipIf(type, text) {
      if (!stream.is(type, text)) return false;
      stream.next();
      return true;
    },
    expect(type, text) {
      const { current } = stream;
      if (current.type === type && (text === undefined || current.text === text)) return stream.next();
      const expected = text ?? descriptions[type] ?? type;
      if (current.type === 'eof') stream.fail(`unexpected end of template, expected '${expected}'.`);
      return stream.fail(`expected token '${expected}', got '${describe(current)}'`);
    },
    fail(message, line = stream.current.line) {
      throw new SyntaxFailure(message, line);
    },
  };
  return stream;
}

const descriptions: Readonly<Partial<Record<TokenType, string>>> = {
  block_begin: 'begin of statement block',
  block_end: 'end of statement block',
  variable_begin: 'begin of print statement',
  variable_end: 'end of print statement',
  data: 'template data / text',
  eof: 'end of template',
};

export function describe(token: Token): string {
  if (token.type === 'name' || token.type === 'operator') return token.text;
  return descriptions[token.type] ?? token.type;
}
