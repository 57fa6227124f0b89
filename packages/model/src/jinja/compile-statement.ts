import { Activation, Output, type Context } from './activation.js';
import { compileCall, compileExpression, compileFilter } from './compile-expression.js';
import { LimitError, PythonError, SyntaxFailure, typeError, valueError } from './failures.js';
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
  type Write,
} from './frame.js';
import { undefinedOf } from './lookup.js';
import { Loop } from './loop.js';
import { Macro, type MacroForm } from './macro.js';
import type { Expression, Signature, Statement, Target } from './nodes.js';
import { isIterable } from './operators.js';
import { spend } from './rendering.js';
import { toText } from './repr.js';
import {
  analyze,
  analyzeExpression,
  analyzeSignature,
  createFunctionScope,
  declareTarget,
  Symbols,
} from './symbols.js';
import {
  Callable,
  iterable,
  MISSING,
  Namespace,
  PyIterator,
  PyObject,
  PyTuple,
  truth,
  typeName,
  Undefined,
  type Value,
} from './values.js';
import { findUndeclared, walkStatements } from './walk.js';

/** What a statement leaves behind: 'break' and 'continue' end the statements around it up to the loop. */
type Signal = undefined | 'break' | 'continue';
export type Run = (activation: Activation, output: Output) => Signal;

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
      return compileFor(node, frame);
    case 'if':
      return compileIf(node, frame);
    case 'set':
      return compileSet(node, frame);
    case 'set block':
      return compileSetBlock(node, frame);
    case 'macro':
      return compileMacro(node, frame);
    case 'call block':
      return compileCallBlock(node, frame);
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
function within(frame: Frame, run: Run): Run {
  const enter = entering(frame);
  const leave = leaving(frame);
  return (a, output) => {
    enter(a);
    const signal = run(a, output);
    leave(a);
    return signal;
  };
}

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

/** What writes to a target; `unpack` takes a value apart as Python does. */
function compileTarget(target: Target, frame: Frame): Write {
  switch (target.kind) {
    case 'name': {
      const write = writer(frame, frame.symbols.ref(target.name, target.line));
      if (!frame.toplevel || !frame.template.hasBlocks) return write;
      return (a, value) => {
        write(a, value);
        a.context.own.set(target.name, value);
      };
    }
    case 'namespace': {
      const read = reader(frame, frame.symbols.ref(target.name, target.line));
      return (a, value) => {
        const namespace = read(a);
        if (!(namespace instanceof Namespace))
          throw new LimitError('a block that sets an item of anything but a namespace');
        namespace.attributes.set(target.attribute, value);
      };
    }
    case 'tuple': {
      const writes = target.items.map((item) => compileTarget(item, frame));
      return (a, value) => {
        const items = unpack(value, writes.length);
        writes.forEach((write, index) => write(a, items[index]));
      };
    }
  }
}

function unpack(value: Value, count: number): readonly Value[] {
  if (value instanceof PyTuple && value.items.length === count) return value.items;
  if (value instanceof Undefined && value.strict) throw value.fail();
  if (!isIterable(value)) throw typeError(`cannot unpack non-iterable ${typeName(value)} object`);
  const items: Value[] = [];
  for (const item of iterable(value)) {
    items.push(item);
    if (items.length > count) throw valueError(`too many values to unpack (expected ${count})`);
  }
  if (items.length < count) throw valueError(`not enough values to unpack (expected ${count}, got ${items.length})`);
  return items;
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

function compileFor(node: Statement & { kind: 'for' }, frame: Frame): Run {
  const scope = node.recursive ? createFunctionScope(frame.scope) : frame.scope;
  const inner = innerFrame(frame, scope);
  const extended = node.recursive || findUndeclared(node.body, ['loop']).has('loop') || hasScopedBlock(node.body);
  walkStatements([node], {
    store(name, line) {
      if (name === 'loop') throw new SyntaxFailure("Can't assign to special loop variable in for-loop target", line);
    },
  });
  const setLoop = extended ? writer(inner, inner.symbols.declareParameter('loop')) : undefined;
  declareTarget(inner.symbols, node.target);
  analyze(inner.symbols, node.body);
  const other = innerFrame(frame, scope);
  analyze(other.symbols, node.otherwise);
  const only = node.test === undefined ? undefined : compileLoopTest(node, node.test, frame);
  const assign = compileTarget(node.target, inner);
  const body = compileBody(node.body, inner);
  const enter = entering(inner);
  const leave = leaving(inner);
  const otherwise = node.otherwise.length === 0 ? undefined : within(other, compileBody(node.otherwise, other));
  const { line } = node;

  /** The iterations; returns what the `else` block leaves. */
  const loop = (a: Activation, items: Value, output: Output, depth0: number, recurse?: RecursiveLoop): Signal => {
    // An iteration that `continue` or `break` ends does not count: so `else` runs after it.
    let isEmpty = true;
    const state = extended ? new Loop(items, depth0, recurse) : undefined;
    const reference = state === undefined ? undefined : new PyObject(loopReference(state));
    const rest = state === undefined ? iterable(items)[Symbol.iterator]() : undefined;
    for (;;) {
      a.run.line = line;
      let item: Value;
      if (state !== undefined) {
        if (!state.advance()) break;
        item = state.current;
      } else {
        spend(1);
        const next = rest!.next();
        if (next.done === true) break;
        item = next.value;
      }
      assign(a, item);
      setLoop?.(a, reference);
      enter(a);
      const signal = body(a, output);
      if (signal === 'break') break;
      if (signal === undefined) isEmpty = false;
    }
    leave(a);
    return isEmpty ? otherwise?.(a, output) : undefined;
  };

  const of = compileExpression(node.of, frame);
  if (!node.recursive) return (a, output) => loop(a, filtered(only, a, of(a)), output, 0);
  return (a, output) => {
    const render: RecursiveLoop = (items, depth0) => {
      const text = new Output();
      loop(a.inner(), filtered(only, a, items), text, depth0, render);
      return text.text;
    };
    output.add(render(of(a), 0));
    return undefined;
  };
}

type RecursiveLoop = (items: Value, depth0: number) => string;
type LoopTest = (a: Activation, items: Value) => Value;

const filtered = (test: LoopTest | undefined, a: Activation, items: Value): Value =>
  test === undefined ? items : test(a, items);

/** `loop` as a value: its length makes it true or false, and nothing iterates over it. */
const loopReference = (loop: Loop) => ({
  type: loop.type,
  attribute: (name: string) => loop.attribute(name),
  call: (args: readonly Value[]) => loop.call(args),
  length: () => loop.length(),
  repr: () => loop.repr(),
  iterate: (): Iterator<Value> => {
    throw new LimitError('a loop over the variable loop');
  },
});

function hasScopedBlock(body: readonly Statement[]): boolean {
  let found = false;
  walkStatements(body, {
    enter(node) {
      found ||= node.kind === 'block' && node.scoped;
      return true;
    },
  });
  return found;
}

/** The `if` of a loop: a generator of its own, so its variables are not the loop's. */
function compileLoopTest(node: Statement & { kind: 'for' }, test: Expression, frame: Frame): LoopTest {
  const inner = innerFrame(frame, createFunctionScope(frame.scope));
  declareTarget(inner.symbols, node.target);
  analyzeExpression(inner.symbols, test);
  const assign = compileTarget(node.target, inner);
  const read = targetReader(node.target, inner);
  const holds = compileExpression(test, inner);
  const enter = entering(inner);
  return (outer, items) => {
    const a = outer.inner();
    function* keep(): Iterator<Value> {
      enter(a);
      for (const item of iterable(items)) {
        spend(1);
        assign(a, item);
        if (truth(holds(a))) yield read(a);
      }
    }
    return new PyIterator('generator', keep());
  };
}

function targetReader(target: Target, frame: Frame): Read {
  if (target.kind === 'tuple') {
    const reads = target.items.map((item) => targetReader(item, frame));
    return (a) => new PyTuple(reads.map((read) => read(a)));
  }
  return reader(frame, frame.symbols.ref(target.name, target.line));
}

/** What makes the macro of a macro or a call block, when its statement runs. */
function compileMacroBody(
  name: string | undefined,
  signature: Signature,
  body: readonly Statement[],
  line: number,
  frame: Frame,
): (a: Activation) => PyObject {
  const inner = innerFrame(frame, createFunctionScope(frame.scope));
  const { symbols } = inner;
  analyzeSignature(symbols, signature);
  analyze(symbols, body);
  const { names, defaults } = signature;
  const undeclared = findUndeclared(body, ['caller', 'kwargs', 'varargs']);
  const parameters = names.map((each) => symbols.ref(each, line));
  const readsCaller = undeclared.has('caller');
  if (readsCaller) {
    const at = names.indexOf('caller');
    if (at !== -1 && at < names.length - defaults.length)
      throw new SyntaxFailure(
        'When defining macros or call blocks the special "caller" argument must be omitted or be given a default.',
        line,
      );
    if (at === -1) parameters.push(symbols.declareParameter('caller'));
  }
  const special = (each: string): boolean => {
    if (!undeclared.has(each) || names.includes(each)) return false;
    parameters.push(symbols.declareParameter(each));
    return true;
  };
  const readsKwargs = special('kwargs');
  const readsVarargs = special('varargs');
  const form: MacroForm = { name, names, readsCaller, readsKwargs, readsVarargs };
  const enter = entering(inner);
  const values = names.map((each, index): Read => {
    const value = defaults[index - (names.length - defaults.length)];
    if (value !== undefined) return compileExpression(value, inner);
    return () => undefinedOf({ hint: `parameter '${each}' was not provided`, key: each });
  });
  const run = compileBody(body, inner);
  return (outer) =>
    new PyObject(
      new Macro(form, (args) => {
        const a = outer.inner();
        const back = a.run.line;
        args.forEach((value, index) => (a.slots[parameters[index]!.slot] = value));
        enter(a);
        values.forEach((value, index) => {
          const { slot } = parameters[index]!;
          if (a.slots[slot] === undefined) a.slots[slot] = value(a);
        });
        const output = new Output();
        run(a, output);
        a.run.line = back;
        return output.text;
      }),
    );
}

function compileMacro(node: Statement & { kind: 'macro' }, frame: Frame): Run {
  const make = compileMacroBody(node.name, node.signature, node.body, node.line, frame);
  const write = compileTarget({ kind: 'name', name: node.name, line: node.line }, frame);
  return (a) => {
    write(a, make(a));
    return undefined;
  };
}

function compileCallBlock(node: Statement & { kind: 'call block' }, frame: Frame): Run {
  const make = compileMacroBody(undefined, node.signature, node.body, node.line, frame);
  if (node.call === undefined) {
    return (a, output) => {
      const text = make(a).object.call!([], new Map()) as string;
      const start = a.run.output.text.length;
      if (output === a.run.output) a.run.generation.push({ start, end: start + text.length });
      else a.run.unplaced++;
      output.add(text);
      return undefined;
    };
  }
  const { of, args } = node.call as Expression & { kind: 'call' };
  const read = compileCall(of, args, frame, make);
  return (a, output) => {
    output.add(toText(read(a)));
    return undefined;
  };
}
