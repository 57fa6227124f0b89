import { Output, type Activation } from './activation.js';
import { compileExpression } from './compile-expression.js';
import { compileTarget, targetReader } from './compile-target.js';
import { LimitError, SyntaxFailure } from '../failures.js';
import {
  entering,
  innerFrame,
  leaving,
  within,
  writer,
  type CompileBody,
  type Frame,
  type Run,
  type Signal,
} from './frame.js';
import { Loop } from './loop.js';
import type { Expression, Statement } from '../parse/nodes.js';
import { spend } from '../rendering.js';
import { analyze, analyzeExpression, createFunctionScope, declareTarget } from './symbols.js';
import { iterable, PyIterator, PyObject, truth, type Value } from '../values/values.js';
import { findUndeclared, walkStatements } from '../parse/walk.js';

export function compileFor(node: Statement & { kind: 'for' }, frame: Frame, compileBody: CompileBody): Run {
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
