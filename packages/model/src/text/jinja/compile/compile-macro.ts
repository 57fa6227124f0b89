import { Output, type Activation } from './activation.js';
import { compileCall, compileExpression } from './compile-expression.js';
import { compileTarget } from './compile-target.js';
import { SyntaxFailure } from '../failures.js';
import { entering, innerFrame, type CompileBody, type Frame, type Read, type Run } from './frame.js';
import { undefinedOf } from '../values/lookup.js';
import { Macro, type MacroForm } from './macro.js';
import type { Expression, Signature, Statement } from '../parse/nodes.js';
import { toText } from '../values/repr.js';
import { analyze, analyzeSignature, createFunctionScope } from './symbols.js';
import { PyObject } from '../values/values.js';
import { findUndeclared } from '../parse/walk.js';

/** What makes the macro of a macro or a call block, when its statement runs. */
function compileMacroBody(
  name: string | undefined,
  signature: Signature,
  body: readonly Statement[],
  line: number,
  frame: Frame,
  compileBody: CompileBody,
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

export function compileMacro(node: Statement & { kind: 'macro' }, frame: Frame, compileBody: CompileBody): Run {
  const make = compileMacroBody(node.name, node.signature, node.body, node.line, frame, compileBody);
  const write = compileTarget({ kind: 'name', name: node.name, line: node.line }, frame);
  return (a) => {
    write(a, make(a));
    return undefined;
  };
}

export function compileCallBlock(
  node: Statement & { kind: 'call block' },
  frame: Frame,
  compileBody: CompileBody,
): Run {
  const make = compileMacroBody(undefined, node.signature, node.body, node.line, frame, compileBody);
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
