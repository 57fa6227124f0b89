import { resolve, type Activation, type Output } from './activation.js';
import type { Statement } from '../parse/nodes.js';
import { Symbols, type FunctionScope, type Load, type Variable } from './symbols.js';
import type { Value } from '../values/values.js';

/** What is known while a part of a template is compiled. */
export interface Frame {
  readonly symbols: Symbols;
  /** The function that the code runs in. */
  readonly scope: FunctionScope;
  /** What is set here is seen by the template's blocks. */
  readonly toplevel: boolean;
  /** In a branch a filter or test may be unknown, as long as the branch is not taken. */
  readonly soft: boolean;
  readonly template: TemplateParts;
}

/** What the parts of one template share while they are compiled. */
export interface TemplateParts {
  readonly blocks: Map<string, CompiledBlock>;
  readonly hasBlocks: boolean;
}

type CompiledBlock = (activation: Activation, output: Output) => void;

/** A frame inside another: of a loop, a macro, a `with`; of a function of its own if one is given. */
export function innerFrame(frame: Frame, scope: FunctionScope = frame.scope): Frame {
  return { ...frame, symbols: new Symbols(scope, frame.symbols), scope, toplevel: false, soft: false };
}

/** The frame of a branch, which shares its variables with the one around it. */
export const softFrame = (frame: Frame): Frame => ({ ...frame, symbols: frame.symbols.copy(), soft: true });

/** How many functions lie between the code and a variable. */
function distance(from: FunctionScope, to: FunctionScope): number {
  let hops = 0;
  for (let at: FunctionScope | undefined = from; at !== to && at !== undefined; at = at.parent) hops++;
  return hops;
}

export type Read = (activation: Activation) => Value;
export type Write = (activation: Activation, value: Value) => void;

/** Reads a variable; undefined where it has no value. */
export function reader(frame: Frame, { scope, slot }: Variable): Read {
  const hops = distance(frame.scope, scope);
  if (hops === 0) return (activation) => activation.slots[slot];
  if (hops === 1) return (activation) => activation.parent!.slots[slot];
  return (activation) => ancestor(activation, hops).slots[slot];
}

export function writer(frame: Frame, { scope, slot }: Variable): Write {
  const hops = distance(frame.scope, scope);
  if (hops === 0) return (activation, value) => void (activation.slots[slot] = value);
  return (activation, value) => void (ancestor(activation, hops).slots[slot] = value);
}

function ancestor(activation: Activation, hops: number): Activation {
  let at = activation;
  for (let index = 0; index < hops; index++) at = at.parent!;
  return at;
}

/** Gives a frame's variables the values that they begin with. */
export function entering(frame: Frame): (activation: Activation) => void {
  const steps: ((activation: Activation) => void)[] = [];
  for (const [slot, load] of frame.symbols.loads) {
    const read = initial(frame, load);
    if (read !== undefined) steps.push((activation) => void (activation.slots[slot] = read(activation)));
  }
  if (steps.length === 0) return () => {};
  if (steps.length === 1) return steps[0]!;
  return (activation) => {
    for (const step of steps) step(activation);
  };
}

function initial(frame: Frame, load: Load): Read | undefined {
  switch (load.from) {
    case 'parameter':
      return undefined;
    case 'context':
      return (activation) => resolve(activation.context, load.name);
    case 'outer':
      return reader(frame, load.variable);
    case 'nothing':
      return () => undefined;
  }
}

/** Takes a frame's variables away again, which macros that were made in it would still see. */
export function leaving(frame: Frame): (activation: Activation) => void {
  const slots = [...frame.symbols.loads.keys()];
  return (activation) => {
    for (const slot of slots) activation.slots[slot] = undefined;
  };
}

/** What a statement leaves behind: 'break' and 'continue' end the statements around it up to the loop. */
export type Signal = undefined | 'break' | 'continue';
/** A statement as a function. */
export type Run = (activation: Activation, output: Output) => Signal;
/** Statements, one after the other. */
export type CompileBody = (body: readonly Statement[], frame: Frame) => Run;

/** Runs statements with the variables of their frame. */
export function within(frame: Frame, run: Run): Run {
  const enter = entering(frame);
  const leave = leaving(frame);
  return (a, output) => {
    enter(a);
    const signal = run(a, output);
    leave(a);
    return signal;
  };
}
