import type { Dialect } from './dialect.js';
import { LimitError } from '../failures.js';
import { tokenize } from './lexer.js';
import type { Branch, Expression, Signature, Statement } from './nodes.js';
import { parseExpression, parseFilter, parseName, parseTarget, parseTuple } from './parse-expression.js';
import { createTokenStream, type TokenStream } from './token-stream.js';

/** Where the parser is in a template: the tags that are open, for messages, and whether a loop is. */
interface Position {
  readonly stream: TokenStream;
  readonly dialect: Dialect;
  readonly openTags: string[];
  readonly ends: (readonly string[])[];
  /** Whether `break` and `continue` have a loop to act on here: macros and captured blocks cut them off. */
  inLoop: boolean;
}

/** @throws SyntaxFailure with the line, LimitError for what this interpreter leaves out */
export function parseTemplate(source: string, dialect: Dialect): Statement[] {
  const stream = createTokenStream(tokenize(source, dialect));
  return parseNodes({ stream, dialect, openTags: [], ends: [], inLoop: false }, undefined);
}

/** Text, `{{ }}` and tags until one of the ends, which is left as the current token. */
function parseNodes(position: Position, ends: readonly string[] | undefined): Statement[] {
  const { stream } = position;
  const nodes: Statement[] = [];
  let parts: (string | Expression)[] = [];
  let partsLine = 0;
  const add = (part: string | Expression, line: number): void => {
    if (parts.length === 0) partsLine = line;
    parts.push(part);
  };
  const flush = (): void => {
    if (parts.length > 0) nodes.push({ kind: 'output', parts, line: partsLine });
    parts = [];
  };
  if (ends !== undefined) position.ends.push(ends);
  while (stream.current.type !== 'eof') {
    const { type, text, line } = stream.current;
    stream.next();
    if (type === 'data') add(text, line);
    else if (type === 'variable_begin') {
      add(parseTuple(stream), line);
      stream.expect('variable_end');
    } else {
      flush();
      if (ends !== undefined && stream.is('name', ...ends)) {
        position.ends.pop();
        return nodes;
      }
      const statement = parseStatement(position);
      if (statement !== undefined) nodes.push(statement);
      stream.expect('block_end');
    }
  }
  flush();
  return ends === undefined ? nodes : failUnclosed(position, undefined);
}

function failUnclosed({ stream, openTags, ends }: Position, tag: string | undefined): never {
  const wanted = ends
    .at(-1)
    ?.map((end) => `'${end}'`)
    .join(' or ');
  let message = tag === undefined ? 'Unexpected end of template.' : `Encountered unknown tag '${tag}'.`;
  if (wanted !== undefined)
    message +=
      tag !== undefined && ends.some((each) => each.includes(tag))
        ? ` You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for ${wanted}.`
        : ` Jinja was looking for the following tags: ${wanted}.`;
  const open = openTags.at(-1);
  if (open !== undefined) message += ` The innermost block that needs to be closed is '${open}'.`;
  return stream.fail(message);
}

/** The body of a tag, until one of the ends. */
function parseBody(position: Position, ...ends: string[]): Statement[] {
  position.stream.skipIf('operator', ':');
  position.stream.expect('block_end');
  return parseNodes(position, ends);
}

/** The body of a tag that has one end, which is read too. */
function parseWhole(position: Position, end: string): Statement[] {
  const body = parseBody(position, end);
  position.stream.next();
  return body;
}

/** A body that is a function of its own in Jinja, so that no loop around it can be left from inside. */
function parseCut(position: Position, end: string): Statement[] {
  const { inLoop } = position;
  position.inLoop = false;
  const body = parseWhole(position, end);
  position.inLoop = inLoop;
  return body;
}

type Parser = (position: Position, line: number) => Statement | undefined;

function parseStatement(position: Position): Statement | undefined {
  const { stream, dialect } = position;
  if (stream.current.type !== 'name') stream.fail('tag name expected');
  const { text, line } = stream.current;
  const parser = statements.get(text) ?? (dialect.chatTags ? chatStatements.get(text) : undefined);
  if (parser === undefined) return failUnclosed(position, text);
  position.openTags.push(text);
  stream.next();
  const statement = parser(position, line);
  position.openTags.pop();
  return statement;
}

function parseFor(position: Position, line: number): Statement {
  const { stream } = position;
  const target = parseTarget(stream, { end: 'in' });
  stream.expect('name', 'in');
  const of = parseTuple(stream, { withCondition: false, end: 'recursive' });
  const test = stream.skipIf('name', 'if') ? parseExpression(stream) : undefined;
  const recursive = stream.skipIf('name', 'recursive');
  const { inLoop } = position;
  position.inLoop = true;
  const body = parseBody(position, 'endfor', 'else');
  position.inLoop = recursive ? false : inLoop;
  const otherwise = stream.next().text === 'else' ? parseWhole(position, 'endfor') : [];
  position.inLoop = inLoop;
  return { kind: 'for', target, of, test, recursive, body, otherwise, line };
}

function parseIf(position: Position, line: number): Statement {
  const { stream } = position;
  const branches: Branch[] = [];
  let branchLine = line;
  for (;;) {
    const test = parseTuple(stream, { withCondition: false });
    branches.push({ test, body: parseBody(position, 'elif', 'else', 'endif'), line: branchLine });
    const end = stream.next();
    branchLine = end.line;
    if (end.text === 'elif') continue;
    const otherwise = end.text === 'else' ? parseWhole(position, 'endif') : [];
    return { kind: 'if', branches, otherwise, line };
  }
}

function parseSet(position: Position, line: number): Statement {
  const { stream } = position;
  const target = parseTarget(stream, { namespaces: true });
  if (stream.skipIf('operator', '=')) return { kind: 'set', target, value: parseTuple(stream), line };
  const filter = parseFilter(stream, undefined);
  return { kind: 'set block', target, filter, body: parseWhole(position, 'endset'), line };
}

function parseSignature(stream: TokenStream): Signature {
  const names: string[] = [];
  const defaults: Expression[] = [];
  stream.expect('operator', '(');
  while (!stream.is('operator', ')')) {
    if (names.length > 0) stream.expect('operator', ',');
    const name = parseName(stream);
    if (names.includes(name)) stream.fail(`duplicate argument '${name}' in function definition`);
    names.push(name);
    if (stream.skipIf('operator', '=')) defaults.push(parseExpression(stream));
    else if (defaults.length > 0) stream.fail('non-default argument follows default argument');
  }
  stream.expect('operator', ')');
  return { names, defaults };
}

const noSignature: Signature = { names: [], defaults: [] };

function parseCallBlock(position: Position, line: number): Statement {
  const { stream } = position;
  const signature = stream.is('operator', '(') ? parseSignature(stream) : noSignature;
  const call = parseExpression(stream);
  if (call.kind !== 'call') stream.fail('expected call', line);
  return { kind: 'call block', call, signature, body: parseCut(position, 'endcall'), line };
}

function parseWith(position: Position, line: number): Statement {
  const { stream } = position;
  const targets = [];
  const values = [];
  while (stream.current.type !== 'block_end') {
    if (targets.length > 0) stream.expect('operator', ',');
    targets.push(parseTarget(stream));
    stream.expect('operator', '=');
    values.push(parseExpression(stream));
  }
  return { kind: 'with', targets, values, body: parseWhole(position, 'endwith'), line };
}

function parseBlock(position: Position, line: number): Statement {
  const { stream } = position;
  const name = stream.expect('name').text;
  const scoped = stream.skipIf('name', 'scoped');
  const required = stream.skipIf('name', 'required');
  if (stream.is('operator', '-'))
    stream.fail(
      'Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.',
    );
  const body = parseCut(position, 'endblock');
  if (required && body.some((node) => node.kind !== 'output' || node.parts.some((part) => !isBlank(part))))
    stream.fail('Required blocks can only contain comments or whitespace');
  stream.skipIf('name', name);
  return { kind: 'block', name, scoped, required, body, line };
}

const isBlank = (part: string | Expression): boolean => typeof part === 'string' && part.trim() === '';

function parseAutoescape(position: Position, line: number): Statement {
  const value = parseExpression(position.stream);
  if (value.kind !== 'const' || value.value !== false) throw new LimitError(`autoescape (line ${line})`);
  return { kind: 'scope', body: parseWhole(position, 'endautoescape'), line };
}

function parsePrint({ stream }: Position, line: number): Statement {
  const parts: Expression[] = [];
  while (stream.current.type !== 'block_end') {
    if (parts.length > 0) stream.expect('operator', ',');
    parts.push(parseExpression(stream));
  }
  return { kind: 'output', parts, line };
}

function skipContext(stream: TokenStream): boolean {
  const next = stream.peek();
  if (!stream.is('name', 'with', 'without') || next.type !== 'name' || next.text !== 'context') return false;
  stream.next();
  stream.next();
  return true;
}

function parseInclude({ stream }: Position, line: number): Statement {
  const template = parseExpression(stream);
  if (stream.is('name', 'ignore') && stream.peek().text === 'missing') {
    stream.next();
    stream.next();
  }
  skipContext(stream);
  return { kind: 'load', template, names: [], line };
}

function parseImport({ stream }: Position, line: number): Statement {
  const template = parseExpression(stream);
  stream.expect('name', 'as');
  const names = [parseName(stream)];
  skipContext(stream);
  return { kind: 'load', template, names, line };
}

function parseFrom({ stream }: Position, line: number): Statement {
  const template = parseExpression(stream);
  stream.expect('name', 'import');
  const names: string[] = [];
  do {
    if (skipContext(stream)) break;
    const name = parseName(stream);
    if (name.startsWith('_')) stream.fail('names starting with an underline can not be imported');
    names.push(stream.skipIf('name', 'as') ? parseName(stream) : name);
    if (skipContext(stream)) break;
  } while (stream.skipIf('operator', ','));
  return { kind: 'load', template, names, line };
}

const jump =
  (kind: 'break' | 'continue'): Parser =>
  (position, line) => {
    if (!position.inLoop) position.stream.fail(`'${kind}' outside loop`, line);
    return { kind, line };
  };

const statements = new Map<string, Parser>([
  ['for', parseFor],
  ['if', parseIf],
  ['set', parseSet],
  ['with', parseWith],
  ['block', parseBlock],
  ['print', parsePrint],
  ['autoescape', parseAutoescape],
  ['include', parseInclude],
  ['import', parseImport],
  ['from', parseFrom],
  ['extends', ({ stream }, line) => ({ kind: 'load', template: parseExpression(stream), names: [], line })],
  ['call', parseCallBlock],
  [
    'filter',
    (position, line) => {
      const filter = parseFilter(position.stream, undefined, true)!;
      return { kind: 'filter block', filter, body: parseWhole(position, 'endfilter'), line };
    },
  ],
  [
    'macro',
    (position, line) => {
      const name = parseName(position.stream);
      const signature = parseSignature(position.stream);
      return { kind: 'macro', name, signature, body: parseCut(position, 'endmacro'), line };
    },
  ],
]);

const chatStatements = new Map<string, Parser>([
  ['break', jump('break')],
  ['continue', jump('continue')],
  [
    'generation',
    (position, line) => ({
      kind: 'call block',
      call: undefined,
      signature: noSignature,
      body: parseCut(position, 'endgeneration'),
      line,
    }),
  ],
]);
