import { Activation, Output, type Context } from './activation.js';
import { compileExpression, compileFilter } from './compile-expression.js';
import { compileFor } from './compile-loop.js';
import { compileCallBlock, compileMacro } from './compile-macro.js';
import { compileTarget } from './compile-target.js';
import { PythonError, SyntaxFailure, typeError } from '../failures.js';
import {
  entering,
  innerFrame,
  leaving,
  reader,
  softFrame,
  writer,
  type Frame,
  type Read,
  type TemplateParts,
  within,
  type Run,
} from './frame.js';
import { undefinedOf } from '../values/lookup.js';
import type { Expression, Statement, Target } from '../parse/nodes.js';
import { spend } from '../rendering.js';
import { toText } from '../values/repr.js';
import { analyze, analyzeExpression, createFunctionScope, declareTarget, Symbols } from './symbols.js';
import { Callable, MISSING, Namespace, PyObject, truth, type Value } from '../values/values.js';
import { findUndeclared, walkStatements } from '../parse/walk.js';

/** A template as a function that writes its text. */
export function compileTemplate(body: readonly Statement[]): (activation: Activation, output: Output) => void {
  const blocks: (Statement & { kind: 'block' })[] = [];
  walkStatements(body, {
    enter(node) {
      if (node.kind === 'block') blocks.push(node);
      return true;
    },
  });
  const template: TemplateParts = { blocks: new Map(), hasBlocks: blocks.length > 0 };
  const root = compileRoot(body, template, true);
  for (const block of blocks) {
    if (template.blocks.has(block.name)) throw new SyntaxFailure(`block '${block.name}' defined twice`, block.line);
    template.blocks.set(block.name, compileRoot(block.body, template, false, block.name));
  }
  return root;
}

/** The template itself, or one of its blocks, which sees nothing of the variables around it. */
function compileRoot(body: readonly Statement[], template: TemplateParts, toplevel: boolean, block?: string) {
  const scope = createFunctionScope(undefined);
  const symbols = new Symbols(scope, undefined);
  const frame: Frame = { symbols, scope, toplevel, soft: false, template };
  const given: ((activation: Activation) => void)[] = [];
  const undeclared = findUndeclared(body, block === undefined ? ['self'] : ['self', 'super']);
  if (undeclared.has('self')) {
    const write = writer(frame, symbols.declareParameter('self'));
    given.push((a) => write(a, new PyObject(templateReference(a, template))));
  }
  if (undeclared.has('super')) {
    const write = writer(frame, symbols.declareParameter('super'));
    given.push((a) => write(a, undefinedOf({ hint: `there is no parent block called '${block}'.`, key: 'super' })));
  }
  analyze(symbols, body);
  const run = compileBody(body, frame);
  const enter = entering(frame);
  return (activation: Activation, output: Output): void => {
    for (const give of given) give(activation);
    enter(activation);
    run(activation, output);
  };
}

function templateReference(activation: Activation, template: TemplateParts) {
  return {
    type: 'TemplateReference',
    attribute: () => MISSING,
    item(key: Value): Value {
      const block = template.blocks.get(key as string);
      if (block === undefined) return MISSING;
      return new Callable('block', () => {
        const output = new Output();
        block(new Activation(activation.run, activation.context, undefined), output);
        return output.text;
      });
    },
    repr: () => '<TemplateReference None>',
  };
}

function compileBody(body: readonly Statement[], frame: Frame): Run {
  const runs = body.map((statement) => compileStatement(statement, frame));
  if (runs.length === 0) return () => undefined;
  if (runs.length === 1) return runs[0]!;
  return (activation, output) => {
    for (const run of runs) {
      const signal = run(activation, output);
      if (signal !== undefined) return signal;
    }
    return undefined;
  };
}

function compileStatement(node: Statement, frame: Frame): Run {
  const run = compileKind(node, frame);
  const { line } = node;
  return (activation, output) => {
    activation.run.line = line;
    spend(1);
    return run(activation, output);
  };
}

function compileKind(node: Statement, frame: Frame): Run {
  switch (node.kind) {
    case 'output':
      return compileOutput(node.parts, frame);
    case 'for':
      return compileFor(node, frame, compileBody);
    case 'if':
      return compileIf(node, frame);
    case 'set':
      return compileSet(node, frame);
    case 'set block':
      return compileSetBlock(node, frame);
    case 'macro':
      return compileMacro(node, frame, compileBody);
    case 'call block':
      return compileCallBlock(node, frame, compileBody);
    case 'filter block':
      return compileFilterBlock(node, frame);
    case 'with':
      return compileWith(node, frame);
    case 'scope': {
      const inner = innerFrame(frame);
      analyze(inner.symbols, node.body);
      return within(inner, compileBody(node.body, inner));
    }
    case 'block':
      return compileBlock(node, frame);
    case 'load': {
      const template = compileExpression(node.template, frame);
      return (a) => {
        template(a);
        throw typeError('no loader for this environment specified');
      };
    }
    case 'break':
      return () => 'break';
    case 'continue':
      return () => 'continue';
  }
}

function compileOutput(parts: readonly (string | Expression)[], frame: Frame): Run {
  const writes = parts.map((part): ((a: Activation, output: Output) => void) => {
    if (typeof part === 'string') return (_a, output) => output.add(part);
    const { line } = part;
    const read = compileExpression(part, frame);
    return (a, output) => {
      a.run.line = line;
      output.add(toText(read(a)));
    };
  });
  return (a, output) => {
    for (const write of writes) write(a, output);
    return undefined;
  };
}

/** A body between the beginning and the end of its frame. */
function compileIf(node: Statement & { kind: 'if' }, frame: Frame): Run {
  const soft = softFrame(frame);
  const branches = node.branches.map(({ test, body, line }) => ({
    line,
    test: compileExpression(test, soft),
    run: compileBody(body, soft),
  }));
  const otherwise = compileBody(node.otherwise, soft);
  return (a, output) => {
    for (const { test, run, line } of branches) {
      a.run.line = line;
      if (truth(test(a))) return run(a, output);
    }
    return otherwise(a, output);
  };
}

function compileSet(node: Statement & { kind: 'set' }, frame: Frame): Run {
  const value = compileExpression(node.value, frame);
  const write = compileTarget(node.target, frame);
  const checks = namespacesOf(node.target).map((target) => reader(frame, frame.symbols.ref(target.name, target.line)));
  return (a) => {
    for (const check of checks)
      if (!(check(a) instanceof Namespace))
        throw new PythonError('TemplateRuntimeError', 'cannot assign attribute on non-namespace object');
    write(a, value(a));
    return undefined;
  };
}

function namespacesOf(target: Target): (Target & { kind: 'namespace' })[] {
  if (target.kind === 'tuple') return target.items.flatMap(namespacesOf);
  return target.kind === 'namespace' ? [target] : [];
}

function compileSetBlock(node: Statement & { kind: 'set block' }, frame: Frame): Run {
  const inner = innerFrame(frame);
  analyze(inner.symbols, node.body);
  const write = compileTarget(node.target, frame);
  return compileCapture(inner, node.body, node.filter, (a, value) => write(a, value));
}

/** A body whose text goes through filters and then to `take`. */
function compileCapture(
  inner: Frame,
  body: readonly Statement[],
  filter: Expression | undefined,
  take: (a: Activation, value: Value, output: Output) => void,
): Run {
  const run = compileBody(body, inner);
  const enter = entering(inner);
  const leave = leaving(inner);
  let text = '';
  const value: Read =
    filter === undefined ? () => text : compileFilter(filter as Expression & { kind: 'filter' }, inner, () => text);
  return (a, output) => {
    const captured = new Output();
    enter(a);
    const signal = run(a, captured);
    if (signal !== undefined) return signal;
    text = captured.text;
    take(a, value(a), output);
    leave(a);
    return undefined;
  };
}

function compileFilterBlock(node: Statement & { kind: 'filter block' }, frame: Frame): Run {
  const inner = innerFrame(frame);
  analyze(inner.symbols, node.body);
  analyzeExpression(inner.symbols, node.filter);
  return compileCapture(inner, node.body, node.filter, (_a, value, output) => output.add(toText(value)));
}

function compileWith(node: Statement & { kind: 'with' }, frame: Frame): Run {
  const inner = innerFrame(frame);
  for (const target of node.targets) declareTarget(inner.symbols, target);
  analyze(inner.symbols, node.body);
  const values = node.values.map((value) => compileExpression(value, frame));
  const writes = node.targets.map((target) => compileTarget(target, inner));
  const body = compileBody(node.body, inner);
  return within(inner, (a, output) => {
    writes.forEach((write, index) => write(a, values[index]!(a)));
    return body(a, output);
  });
}

function compileBlock(node: Statement & { kind: 'block' }, frame: Frame): Run {
  const { blocks } = frame.template;
  if (node.required)
    return () => {
      throw new PythonError('TemplateRuntimeError', `Required block '${node.name}' not found`);
    };
  const locals = node.scoped ? frame.symbols.dumpStores() : new Map<string, never>();
  const reads = [...locals].map(([name, variable]) => [name, reader(frame, variable)] as const);
  return (a, output) => {
    const context: Context = { own: new Map(a.context.own), given: a.context.given };
    for (const [name, read] of reads) {
      const value = read(a);
      if (value !== undefined) context.own.set(name, value);
    }
    blocks.get(node.name)!(new Activation(a.run, node.scoped ? context : a.context, undefined), output);
    return undefined;
  };
}
