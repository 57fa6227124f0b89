import type { Arguments, Expression, Statement, Target } from './nodes.js';

/** What a walk through a template is told of, in the order in which Jinja visits it. */
export interface Visitor {
  /** A name that is read. */
  load?(name: string, line: number): void;
  /** A name that is given a value. */
  store?(name: string, line: number): void;
  /** A name that is a parameter: of a macro, of `with`. */
  parameter?(name: string): void;
  expression?(node: Expression): void;
  /** Returns false where the walk is not to go into a statement. */
  enter?(statement: Statement): boolean;
}

export function walkExpression(node: Expression | undefined, visitor: Visitor): void {
  if (node === undefined) return;
  visitor.expression?.(node);
  const visit = (each: Expression | undefined): void => walkExpression(each, visitor);
  switch (node.kind) {
    case 'const':
      return;
    case 'name':
      return visitor.load?.(node.name, node.line);
    case 'list':
    case 'tuple':
    case 'concat':
      return node.items.forEach(visit);
    case 'dict':
      return node.items.forEach((pair) => pair.forEach(visit));
    case 'attribute':
    case 'unary':
      return visit(node.of);
    case 'item':
      visit(node.of);
      return visit(node.key);
    case 'slice':
      return [node.start, node.stop, node.step].forEach(visit);
    case 'call':
    case 'filter':
    case 'test':
      visit(node.of);
      return walkArguments(node.args, visitor);
    case 'binary':
      visit(node.left);
      return visit(node.right);
    case 'compare':
      visit(node.first);
      return node.rest.forEach(([, each]) => visit(each));
    case 'condition':
      visit(node.test);
      visit(node.then);
      return visit(node.otherwise);
  }
}

function walkArguments({ positional, named, list, dict }: Arguments, visitor: Visitor): void {
  for (const each of [...positional, ...named.map(([, value]) => value), list, dict]) walkExpression(each, visitor);
}

export function walkTarget(target: Target, visitor: Visitor): void {
  if (target.kind === 'tuple') for (const item of target.items) walkTarget(item, visitor);
  else if (target.kind === 'namespace') visitor.load?.(target.name, target.line);
  else visitor.store?.(target.name, target.line);
}

export function walkStatements(statements: readonly Statement[], visitor: Visitor): void {
  for (const statement of statements) walkStatement(statement, visitor);
}

function walkStatement(node: Statement, visitor: Visitor): void {
  if (visitor.enter?.(node) === false) return;
  const expression = (each: Expression | undefined): void => walkExpression(each, visitor);
  const body = (each: readonly Statement[]): void => walkStatements(each, visitor);
  switch (node.kind) {
    case 'output':
      return node.parts.forEach((part) => (typeof part === 'string' ? undefined : expression(part)));
    case 'for':
      walkTarget(node.target, visitor);
      expression(node.of);
      body(node.body);
      body(node.otherwise);
      return expression(node.test);
    case 'if':
      for (const branch of node.branches) {
        expression(branch.test);
        body(branch.body);
      }
      return body(node.otherwise);
    case 'set':
      walkTarget(node.target, visitor);
      return expression(node.value);
    case 'set block':
      walkTarget(node.target, visitor);
      expression(node.filter);
      return body(node.body);
    case 'macro':
    case 'call block':
      if (node.kind === 'call block') expression(node.call);
      node.signature.names.forEach((name) => visitor.parameter?.(name));
      node.signature.defaults.forEach(expression);
      return body(node.body);
    case 'filter block':
      body(node.body);
      return expression(node.filter);
    case 'with':
      for (const target of node.targets) walkTarget(target, { store: (name) => visitor.parameter?.(name) });
      node.values.forEach(expression);
      return body(node.body);
    case 'scope':
    case 'block':
      return body(node.body);
    case 'load':
      expression(node.template);
      return node.names.forEach((name) => visitor.store?.(name, node.line));
    case 'break':
    case 'continue':
  }
}

/** Which of some names a body reads before it gives them a value itself; blocks are not looked into. */
export function findUndeclared(body: readonly Statement[], wanted: readonly string[]): Set<string> {
  const open = new Set(wanted);
  const found = new Set<string>();
  walkStatements(body, {
    load: (name) => void (open.has(name) && found.add(name)),
    store: (name) => void open.delete(name),
    parameter: (name) => void open.delete(name),
    enter: (statement) => statement.kind !== 'block',
  });
  return found;
}
