import { SyntaxFailure, PythonError, typeError } from '../failures.js';
import { filters, tests } from '../builtins/built-ins.js';
import { reader, softFrame, type Frame, type Read } from './frame.js';
import { call, callMethod, getAttribute, getItem, undefinedOf } from '../values/lookup.js';
import type { Arguments, CompareOperator, Expression } from '../parse/nodes.js';
import { binary, compare, contains, equal, isIterable, negate, positive } from '../values/operators.js';
import type { Filter } from '../builtins/parameters.js';
import { checkText, spend, spendItems, spendText } from '../rendering.js';
import { toText } from '../values/repr.js';
import { slice } from '../values/sequences.js';
import {
  isText,
  iterable,
  noKwargs,
  PyDict,
  PyTuple,
  textOf,
  truth,
  typeName,
  Undefined,
  type Kwargs,
  type Value,
} from '../values/values.js';

/** @throws SyntaxFailure for an unknown filter or test */
export function compileExpression(node: Expression, frame: Frame): Read {
  switch (node.kind) {
    case 'const': {
      const { value } = node;
      return () => value;
    }
    case 'name':
      return compileName(node.name, node.line, frame);
    case 'list': {
      const items = node.items.map((item) => compileExpression(item, frame));
      return (a) => items.map((item) => item(a));
    }
    case 'tuple': {
      const items = node.items.map((item) => compileExpression(item, frame));
      return (a) => new PyTuple(items.map((item) => item(a)));
    }
    case 'dict': {
      const items = node.items.map(
        ([key, value]) => [compileExpression(key, frame), compileExpression(value, frame)] as const,
      );
      return (a) => PyDict.of(items.map(([key, value]) => [key(a), value(a)] as const));
    }
    case 'attribute': {
      const of = compileExpression(node.of, frame);
      const { name } = node;
      return (a) => getAttribute(of(a), name);
    }
    case 'item':
      return compileItem(node.of, node.key, frame);
    case 'slice':
      throw new SyntaxFailure('invalid syntax: a slice outside of []', node.line);
    case 'call':
      return compileCall(node.of, node.args, frame);
    case 'filter':
    case 'test':
      return compileFilter(node, frame);
    case 'unary': {
      const of = compileExpression(node.of, frame);
      if (node.operator === 'not') return (a) => !truth(of(a));
      return node.operator === '-' ? (a) => negate(of(a)) : (a) => positive(of(a));
    }
    case 'binary': {
      const left = compileExpression(node.left, frame);
      const right = compileExpression(node.right, frame);
      const { operator } = node;
      if (operator === 'and')
        return (a) => {
          const value = left(a);
          return truth(value) ? right(a) : value;
        };
      if (operator === 'or')
        return (a) => {
          const value = left(a);
          return truth(value) ? value : right(a);
        };
      return (a) => binary(operator, left(a), right(a));
    }
    case 'concat': {
      const items = node.items.map((item) => compileExpression(item, frame));
      return (a) => {
        let text = '';
        for (const item of items) text += toText(item(a));
        checkText(text.length);
        return text;
      };
    }
    case 'compare':
      return compileCompare(node.first, node.rest, frame);
    case 'condition':
      return compileCondition(node, frame);
  }
}

function compileName(name: string, line: number, frame: Frame): Read {
  const read = reader(frame, frame.symbols.ref(name, line));
  return (a) => {
    const value = read(a);
    return value === undefined ? undefinedOf({ key: name }) : value;
  };
}

function compileItem(of: Expression, key: Expression, frame: Frame): Read {
  const value = compileExpression(of, frame);
  if (key.kind === 'slice') {
    const [start, stop, step] = [key.start, key.stop, key.step].map((part) =>
      part === undefined ? (): Value => null : compileExpression(part, frame),
    ) as [Read, Read, Read];
    return (a) => slice(value(a), start(a), stop(a), step(a));
  }
  const at = compileExpression(key, frame);
  return (a) => getItem(value(a), at(a));
}

const comparing: Readonly<Record<CompareOperator, (left: Value, right: Value) => boolean>> = {
  '==': equal,
  '!=': (left, right) => !equal(left, right),
  '<': (left, right) => compare('<', left, right),
  '<=': (left, right) => compare('<=', left, right),
  '>': (left, right) => compare('>', left, right),
  '>=': (left, right) => compare('>=', left, right),
  in: (left, right) => contains(right, left),
  'not in': (left, right) => !contains(right, left),
};

function compileCompare(
  first: Expression,
  rest: readonly (readonly [CompareOperator, Expression])[],
  frame: Frame,
): Read {
  const start = compileExpression(first, frame);
  const others = rest.map(([operator, each]) => [comparing[operator], compileExpression(each, frame)] as const);
  if (others.length === 1) {
    const [test, right] = others[0]!;
    return (a) => test(start(a), right(a));
  }
  return (a) => {
    let left = start(a);
    for (const [test, each] of others) {
      const right = each(a);
      if (!test(left, right)) return false;
      left = right;
    }
    return true;
  };
}

function compileCondition(node: Expression & { readonly kind: 'condition' }, frame: Frame): Read {
  const soft = softFrame(frame);
  const test = compileExpression(node.test, soft);
  const then = compileExpression(node.then, soft);
  if (node.otherwise !== undefined) {
    const otherwise = compileExpression(node.otherwise, soft);
    return (a) => (truth(test(a)) ? then(a) : otherwise(a));
  }
  const hint = `the inline if-expression on line ${node.line} evaluated to false and no else section was defined.`;
  // Jinja takes its lenient Undefined here, whatever the environment's is.
  return (a) => (truth(test(a)) ? then(a) : new Undefined({ hint, strict: false }));
}

/** Arguments as they are when a call is made. */
interface CompiledArguments {
  readonly positional: (activation: Parameters<Read>[0]) => readonly Value[];
  readonly named: (activation: Parameters<Read>[0]) => Kwargs;
}

const none: readonly Value[] = [];

function compileArguments({ positional, named, list, dict }: Arguments, frame: Frame): CompiledArguments {
  const items = positional.map((item) => compileExpression(item, frame));
  const pairs = named.map(([name, value]) => [name, compileExpression(value, frame)] as const);
  const more = list === undefined ? undefined : compileExpression(list, frame);
  const moreNamed = dict === undefined ? undefined : compileExpression(dict, frame);
  const [only] = items;
  let takePositional: CompiledArguments['positional'] = (a) => items.map((item) => item(a));
  if (more !== undefined) {
    takePositional = (a) => {
      const all = items.map((item) => item(a));
      const rest = more(a);
      if (!isIterable(rest)) throw typeError(`Value after * must be an iterable, not ${typeName(rest)}`);
      for (const item of iterable(rest)) {
        spendItems(1);
        all.push(item);
      }
      return all;
    };
  } else if (items.length === 0) takePositional = () => none;
  else if (items.length === 1) takePositional = (a) => [only!(a)];
  if (pairs.length === 0 && moreNamed === undefined) return { positional: takePositional, named: () => noKwargs };
  return {
    positional: takePositional,
    named(a) {
      const all = new Map<string, Value>();
      for (const [name, value] of pairs) all.set(name, value(a));
      if (moreNamed !== undefined) addNamed(all, moreNamed(a));
      return all;
    },
  };
}

function addNamed(all: Map<string, Value>, more: Value): void {
  if (more instanceof Undefined) throw more.fail();
  if (!(more instanceof PyDict)) throw typeError(`argument after ** must be a mapping, not ${typeName(more)}`);
  for (const [name, value] of more.entries()) {
    spend(1);
    if (!isText(name)) throw typeError('keywords must be strings');
    if (all.has(textOf(name))) throw typeError(`got multiple values for keyword argument '${textOf(name)}'`);
    all.set(textOf(name), value);
  }
}

/** A call; `extra` gives it the `caller` of a call block. */
export function compileCall(
  of: Expression,
  args: Arguments,
  frame: Frame,
  extra?: (activation: Parameters<Read>[0]) => Value,
): Read {
  const { positional, named: plain } = compileArguments(args, frame);
  const named: CompiledArguments['named'] =
    extra === undefined ? plain : (a) => new Map<string, Value>([...plain(a), ['caller', extra(a)]]);
  if (of.kind === 'attribute') {
    const owner = compileExpression(of.of, frame);
    const { name } = of;
    return (a) => {
      const value = owner(a);
      // Python looks the method up before it computes the arguments.
      if (value instanceof Undefined) return getAttribute(value, name);
      spend(1);
      return callMethod(value, name, positional(a), named(a));
    };
  }
  const target = compileExpression(of, frame);
  return (a) => {
    const value = target(a);
    spend(1);
    return call(value, positional(a), named(a));
  };
}

/** A filter or a test; `captured` stands for the value of a filter block. */
export function compileFilter(
  node: Expression & { readonly kind: 'filter' | 'test' },
  frame: Frame,
  captured?: Read,
): Read {
  const run = findFilter(node, frame);
  const value =
    node.of === undefined
      ? captured!
      : node.of.kind === 'filter' && hasOpenEnd(node.of)
        ? compileFilter(node.of, frame, captured)
        : compileExpression(node.of, frame);
  const { positional, named } = compileArguments(node.args, frame);
  return (a) => {
    const input = value(a);
    // Most filters go through the text that they are given.
    if (typeof input === 'string') spendText(input.length);
    spend(1);
    return run(input, positional(a), named(a));
  };
}

/** Whether a chain of filters begins with what a block captures. */
const hasOpenEnd = (node: Expression): boolean =>
  node.kind === 'filter' && (node.of === undefined || hasOpenEnd(node.of));

function findFilter(node: Expression & { readonly kind: 'filter' | 'test' }, frame: Frame): Filter {
  const found = (node.kind === 'filter' ? filters : tests).get(node.name);
  if (found !== undefined) return found;
  const message = `No ${node.kind} named '${node.name}'`;
  if (!frame.soft) throw new SyntaxFailure(`${message}.`, node.line);
  return () => {
    throw new PythonError('TemplateRuntimeError', `${message} found.`);
  };
}
