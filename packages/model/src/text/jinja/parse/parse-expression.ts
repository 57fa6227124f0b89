import type { Arguments, BinaryOperator, CompareOperator, Expression, Target } from './nodes.js';
import { describe, type TokenStream } from './token-stream.js';
import type { Value } from '../values/values.js';

/** `a if b else c`, or anything that binds tighter. */
export function parseExpression(stream: TokenStream, withCondition = true): Expression {
  return withCondition ? parseCondition(stream) : parseOr(stream);
}

function parseCondition(stream: TokenStream): Expression {
  let { line } = stream.current;
  let then = parseOr(stream);
  while (stream.skipIf('name', 'if')) {
    const test = parseOr(stream);
    const otherwise = stream.skipIf('name', 'else') ? parseCondition(stream) : undefined;
    then = { kind: 'condition', test, then, otherwise, line };
    ({ line } = stream.current);
  }
  return then;
}

/** Operators of one precedence, from left to right. */
function leftToRight(
  operand: (stream: TokenStream) => Expression,
  type: 'name' | 'operator',
  operators: readonly BinaryOperator[],
): (stream: TokenStream) => Expression {
  return (stream) => {
    let { line } = stream.current;
    let left = operand(stream);
    while (stream.is(type, ...operators)) {
      const operator = stream.next().text as BinaryOperator;
      left = { kind: 'binary', operator, left, right: operand(stream), line };
      ({ line } = stream.current);
    }
    return left;
  };
}

const parsePower = leftToRight((stream) => parseUnary(stream, true), 'operator', ['**']);
const parseProduct = leftToRight(parsePower, 'operator', ['*', '/', '//', '%']);

function parseConcat(stream: TokenStream): Expression {
  const { line } = stream.current;
  const items = [parseProduct(stream)];
  while (stream.skipIf('operator', '~')) items.push(parseProduct(stream));
  return items.length === 1 ? items[0]! : { kind: 'concat', items, line };
}

const parseSum = leftToRight(parseConcat, 'operator', ['+', '-']);

const comparisons = ['==', '!=', '<', '<=', '>', '>='];

function parseCompare(stream: TokenStream): Expression {
  const { line } = stream.current;
  const first = parseSum(stream);
  const rest: [CompareOperator, Expression][] = [];
  for (;;) {
    if (stream.is('operator', ...comparisons)) rest.push([stream.next().text as CompareOperator, parseSum(stream)]);
    else if (stream.skipIf('name', 'in')) rest.push(['in', parseSum(stream)]);
    else if (stream.is('name', 'not') && stream.peek().type === 'name' && stream.peek().text === 'in') {
      stream.next();
      stream.next();
      rest.push(['not in', parseSum(stream)]);
    } else break;
  }
  return rest.length === 0 ? first : { kind: 'compare', first, rest, line };
}

function parseNot(stream: TokenStream): Expression {
  const { line } = stream.current;
  if (!stream.skipIf('name', 'not')) return parseCompare(stream);
  return { kind: 'unary', operator: 'not', of: parseNot(stream), line };
}

const parseAnd = leftToRight(parseNot, 'name', ['and']);
const parseOr = leftToRight(parseAnd, 'name', ['or']);

function parseUnary(stream: TokenStream, withFilter: boolean): Expression {
  const { line } = stream.current;
  let node: Expression;
  if (stream.is('operator', '-', '+')) {
    const operator = stream.next().text as '-' | '+';
    node = { kind: 'unary', operator, of: parseUnary(stream, false), line };
  } else node = parsePrimary(stream);
  node = parsePostfix(stream, node);
  return withFilter ? parseFilters(stream, node) : node;
}

const constants: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);

function parsePrimary(stream: TokenStream): Expression {
  const token = stream.current;
  const { line } = token;
  switch (token.type) {
    case 'name': {
      stream.next();
      const constant = constants.get(token.text);
      return constant === undefined
        ? { kind: 'name', name: token.text, line }
        : { kind: 'const', value: constant, line };
    }
    case 'string': {
      let text = '';
      while (stream.current.type === 'string') text += stream.next().value as string;
      return { kind: 'const', value: text, line };
    }
    case 'integer':
    case 'float':
      stream.next();
      return { kind: 'const', value: token.value, line };
    default:
  }
  if (stream.skipIf('operator', '(')) {
    const node = parseTuple(stream, { inParentheses: true });
    stream.expect('operator', ')');
    return node;
  }
  if (stream.skipIf('operator', '[')) {
    const items = parseItems(stream, ']', () => parseExpression(stream));
    return { kind: 'list', items, line };
  }
  if (stream.skipIf('operator', '{')) {
    const items = parseItems(stream, '}', (): [Expression, Expression] => {
      const key = parseExpression(stream);
      stream.expect('operator', ':');
      return [key, parseExpression(stream)];
    });
    return { kind: 'dict', items, line };
  }
  return stream.fail(`unexpected '${describe(token)}'`, line);
}

function parseItems<T>(stream: TokenStream, end: string, parse: () => T): T[] {
  const items: T[] = [];
  while (!stream.is('operator', end)) {
    if (items.length > 0) stream.expect('operator', ',');
    if (stream.is('operator', end)) break;
    items.push(parse());
  }
  stream.expect('operator', end);
  return items;
}

interface TupleOptions {
  readonly withCondition?: boolean;
  readonly inParentheses?: boolean;
  /** The name that ends the tuple. */
  readonly end?: string;
}

/** One expression, or several with commas between them. */
export function parseTuple(stream: TokenStream, options: TupleOptions = {}): Expression {
  return tupleOf<Expression>(
    stream,
    options,
    () => parseExpression(stream, options.withCondition ?? true),
    (items, line) => ({ kind: 'tuple', items, line }),
  );
}

function tupleOf<T>(
  stream: TokenStream,
  options: TupleOptions,
  parse: () => T,
  make: (items: T[], line: number) => T,
): T {
  let { line } = stream.current;
  const items: T[] = [];
  let isTuple = false;
  for (;;) {
    if (items.length > 0) stream.expect('operator', ',');
    const { type } = stream.current;
    if (type === 'variable_end' || type === 'block_end' || stream.is('operator', ')')) break;
    if (options.end !== undefined && stream.is('name', options.end)) break;
    items.push(parse());
    if (!stream.is('operator', ',')) break;
    isTuple = true;
    ({ line } = stream.current);
  }
  if (!isTuple) {
    if (items.length > 0) return items[0]!;
    if (options.inParentheses !== true) stream.fail(`Expected an expression, got '${describe(stream.current)}'`);
  }
  return make(items, line);
}

const reserved = new Set(['true', 'false', 'none', 'True', 'False', 'None']);

/** What can be assigned to: a name, names in a tuple, and in `set` a namespace's attribute. */
export function parseTarget(stream: TokenStream, options: { end?: string; namespaces?: boolean } = {}): Target {
  const tupleOptions: TupleOptions = options.end === undefined ? {} : { end: options.end };
  const target = tupleOf<Target>(
    stream,
    tupleOptions,
    () => parseTargetItem(stream, options.namespaces ?? false),
    (items, line) => ({ kind: 'tuple', items, line }),
  );
  return target;
}

function parseTargetItem(stream: TokenStream, namespaces: boolean): Target {
  const token = stream.current;
  if (token.type === 'name' && !reserved.has(token.text)) {
    stream.next();
    if (!namespaces || !stream.skipIf('operator', '.')) return { kind: 'name', name: token.text, line: token.line };
    return { kind: 'namespace', name: token.text, attribute: stream.expect('name').text, line: token.line };
  }
  const node = parsePrimary(stream);
  const target = asTarget(node);
  if (target === undefined) return stream.fail(`can't assign to '${node.kind}'`, node.line);
  return target;
}

function asTarget(node: Expression): Target | undefined {
  if (node.kind === 'name') return { kind: 'name', name: node.name, line: node.line };
  if (node.kind !== 'tuple') return undefined;
  const items = node.items.map(asTarget);
  return items.includes(undefined) ? undefined : { kind: 'tuple', items: items as Target[], line: node.line };
}

/** A name that is assigned to. */
export function parseName(stream: TokenStream): string {
  const token = stream.expect('name');
  if (reserved.has(token.text)) stream.fail(`can't assign to '${token.text}'`, token.line);
  return token.text;
}

function parsePostfix(stream: TokenStream, node: Expression): Expression {
  for (;;) {
    if (stream.is('operator', '.', '[')) node = parseSubscript(stream, node);
    else if (stream.is('operator', '(')) node = parseCall(stream, node);
    else return node;
  }
}

function parseFilters(stream: TokenStream, node: Expression): Expression {
  for (;;) {
    if (stream.is('operator', '|')) node = parseFilter(stream, node)!;
    else if (stream.is('name', 'is')) node = parseTest(stream, node);
    else if (stream.is('operator', '(')) node = parseCall(stream, node);
    else return node;
  }
}

function parseSubscript(stream: TokenStream, of: Expression): Expression {
  const { text, line } = stream.next();
  if (text === '.') {
    const name = stream.next();
    if (name.type === 'name') return { kind: 'attribute', of, name: name.text, line };
    if (name.type !== 'integer') stream.fail('expected name or number', name.line);
    return { kind: 'item', of, key: { kind: 'const', value: name.value, line: name.line }, line };
  }
  const keys: Expression[] = [];
  while (!stream.is('operator', ']')) {
    if (keys.length > 0) stream.expect('operator', ',');
    keys.push(parseSubscribed(stream));
  }
  stream.expect('operator', ']');
  if (keys.length === 1) return { kind: 'item', of, key: keys[0]!, line };
  if (keys.some(({ kind }) => kind === 'slice')) stream.fail('invalid syntax: a slice beside another key', line);
  return { kind: 'item', of, key: { kind: 'tuple', items: keys, line }, line };
}

function parseSubscribed(stream: TokenStream): Expression {
  const { line } = stream.current;
  let start: Expression | undefined;
  if (!stream.skipIf('operator', ':')) {
    start = parseExpression(stream);
    if (!stream.skipIf('operator', ':')) return start;
  }
  const part = (): Expression | undefined => (stream.is('operator', ']', ',') ? undefined : parseExpression(stream));
  const stop = stream.is('operator', ':') ? undefined : part();
  const step = stream.skipIf('operator', ':') ? part() : undefined;
  return { kind: 'slice', start, stop, step, line };
}

function parseArguments(stream: TokenStream): Arguments {
  const { line } = stream.expect('operator', '(');
  const positional: Expression[] = [];
  const named: [string, Expression][] = [];
  let list: Expression | undefined;
  let dict: Expression | undefined;
  let first = true;
  const ensure = (valid: boolean): void => {
    if (!valid) stream.fail('invalid syntax for function call expression', line);
  };
  while (!stream.is('operator', ')')) {
    if (!first) {
      stream.expect('operator', ',');
      if (stream.is('operator', ')')) break;
    }
    first = false;
    if (stream.skipIf('operator', '*')) {
      ensure(list === undefined && dict === undefined);
      list = parseExpression(stream);
    } else if (stream.skipIf('operator', '**')) {
      ensure(dict === undefined);
      dict = parseExpression(stream);
    } else if (stream.current.type === 'name' && stream.peek().type === 'operator' && stream.peek().text === '=') {
      ensure(dict === undefined);
      const key = stream.next().text;
      stream.next();
      if (named.some(([name]) => name === key)) stream.fail(`keyword argument repeated: ${key}`);
      named.push([key, parseExpression(stream)]);
    } else {
      ensure(list === undefined && dict === undefined && named.length === 0);
      positional.push(parseExpression(stream));
    }
  }
  stream.expect('operator', ')');
  return { positional, named, list, dict };
}

function parseCall(stream: TokenStream, of: Expression): Expression {
  const { line } = stream.current;
  return { kind: 'call', of, args: parseArguments(stream), line };
}

const noArguments: Arguments = { positional: [], named: [], list: undefined, dict: undefined };

function dottedName(stream: TokenStream): { name: string; line: number } {
  const { text, line } = stream.expect('name');
  let name = text;
  while (stream.skipIf('operator', '.')) name += `.${stream.expect('name').text}`;
  return { name, line };
}

/** Filters one after the other; `inline`: the first has no bar in front of it. */
export function parseFilter(stream: TokenStream, node: Expression | undefined, inline = false): Expression | undefined {
  let of = node;
  for (let first = inline; first || stream.skipIf('operator', '|'); first = false) {
    const { name, line } = dottedName(stream);
    const args = stream.is('operator', '(') ? parseArguments(stream) : noArguments;
    of = { kind: 'filter', of, name, args, line };
  }
  return of;
}

function parseTest(stream: TokenStream, of: Expression): Expression {
  const { line } = stream.next();
  const negated = stream.skipIf('name', 'not');
  const { name } = dottedName(stream);
  let args = noArguments;
  const { type } = stream.current;
  if (stream.is('operator', '(')) args = parseArguments(stream);
  else if (
    (['name', 'string', 'integer', 'float'].includes(type) && !stream.is('name', 'else', 'or', 'and')) ||
    stream.is('operator', '[', '{')
  ) {
    if (stream.is('name', 'is')) stream.fail('You cannot chain multiple tests with is');
    args = { ...noArguments, positional: [parsePostfix(stream, parsePrimary(stream))] };
  }
  const test: Expression = { kind: 'test', of, name, args, line };
  return negated ? { kind: 'unary', operator: 'not', of: test, line } : test;
}
