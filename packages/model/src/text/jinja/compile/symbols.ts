import { SyntaxFailure } from '../failures.js';
import type { Branch, Expression, Signature, Statement, Target } from '../parse/nodes.js';
import { walkExpression, walkTarget, type Visitor } from '../parse/walk.js';

/**
 * Where a template's variables live. Jinja compiles a template to Python functions whose local variables are its
 * variables, one per name and nesting level; which variable a name means is decided before anything runs. This is that
 * analysis (jinja2/idtracking.py), since its rules show: what is set in a loop is gone after the iteration, what is set
 * in a branch stays, a macro sees later values of the variables around it.
 */
export interface FunctionScope {
  readonly parent: FunctionScope | undefined;
  /** The place of each variable. */
  readonly slots: Map<string, number>;
}

export const createFunctionScope = (parent: FunctionScope | undefined): FunctionScope => ({ parent, slots: new Map() });

export type Load =
  | { readonly from: 'parameter' }
  | { readonly from: 'context'; readonly name: string }
  | { readonly from: 'outer'; readonly variable: Variable }
  | { readonly from: 'nothing' };

export interface Variable {
  readonly name: string;
  readonly scope: FunctionScope;
  readonly slot: number;
}

export class Symbols {
  readonly level: number;
  readonly scope: FunctionScope;
  readonly parent: Symbols | undefined;
  readonly refs: Map<string, Variable>;
  readonly loads: Map<number, Load>;
  readonly stores: Set<string>;

  constructor(scope: FunctionScope, parent: Symbols | undefined, copied?: Symbols) {
    this.scope = scope;
    this.parent = parent;
    this.level = copied?.level ?? (parent === undefined ? 0 : parent.level + 1);
    this.refs = new Map(copied?.refs);
    this.loads = new Map(copied?.loads);
    this.stores = new Set(copied?.stores);
  }

  copy(): Symbols {
    return new Symbols(this.scope, this.parent, this);
  }

  #define(name: string, load: Load): Variable {
    const { slots } = this.scope;
    const key = `${this.level} ${name}`;
    if (!slots.has(key)) slots.set(key, slots.size);
    const variable = { name, scope: this.scope, slot: slots.get(key)! };
    this.refs.set(name, variable);
    this.loads.set(variable.slot, load);
    return variable;
  }

  find(name: string): Variable | undefined {
    return this.refs.get(name) ?? this.parent?.find(name);
  }

  ref(name: string, line: number): Variable {
    const found = this.find(name);
    if (found === undefined)
      throw new SyntaxFailure(`Tried to resolve a name to a reference that was unknown to the frame ('${name}')`, line);
    return found;
  }

  findLoad(variable: Variable): Load | undefined {
    const own = variable.scope === this.scope ? this.loads.get(variable.slot) : undefined;
    return own ?? this.parent?.findLoad(variable);
  }

  store(name: string): void {
    this.stores.add(name);
    if (this.refs.has(name)) return;
    const outer = this.parent?.find(name);
    this.#define(name, outer === undefined ? { from: 'nothing' } : { from: 'outer', variable: outer });
  }

  declareParameter(name: string): Variable {
    this.stores.add(name);
    return this.#define(name, { from: 'parameter' });
  }

  load(name: string): void {
    if (this.find(name) === undefined) this.#define(name, { from: 'context', name });
  }

  /** Takes over what branches set: it stays after them, and has its outer value where no branch ran. */
  join(branches: readonly Symbols[]): void {
    const stored = new Set(branches.flatMap(({ stores }) => [...stores]).filter((name) => !this.stores.has(name)));
    for (const branch of branches) {
      for (const [name, variable] of branch.refs) this.refs.set(name, variable);
      for (const [slot, load] of branch.loads) this.loads.set(slot, load);
      for (const name of branch.stores) this.stores.add(name);
    }
    for (const name of stored) {
      const { slot } = this.find(name)!;
      const outer = this.parent?.find(name);
      this.loads.set(slot, outer === undefined ? { from: 'context', name } : { from: 'outer', variable: outer });
    }
  }

  /** The variables that are set here and around, by name: what a scoped block sees. */
  dumpStores(): Map<string, Variable> {
    const found = this.parent?.dumpStores() ?? new Map<string, Variable>();
    for (const name of this.stores) found.set(name, this.find(name)!);
    return found;
  }
}

/** Notes the variables that statements use in a frame; what has a frame of its own is not looked into. */
export function analyze(symbols: Symbols, statements: readonly Statement[]): void {
  for (const statement of statements) analyzeStatement(symbols, statement);
}

const visitorOf = (symbols: Symbols): Visitor => ({
  load: (name) => symbols.load(name),
  store: (name) => symbols.store(name),
});

export const analyzeExpression = (symbols: Symbols, node: Expression | undefined): void =>
  walkExpression(node, visitorOf(symbols));

export function declareTarget(symbols: Symbols, target: Target): void {
  walkTarget(target, { store: (name) => void symbols.declareParameter(name) });
}

export function analyzeSignature(symbols: Symbols, signature: Signature): void {
  for (const name of signature.names) symbols.declareParameter(name);
  for (const value of signature.defaults) analyzeExpression(symbols, value);
}

function analyzeStatement(symbols: Symbols, node: Statement): void {
  const expression = (each: Expression | undefined): void => analyzeExpression(symbols, each);
  switch (node.kind) {
    case 'output':
      return node.parts.forEach((part) => (typeof part === 'string' ? undefined : expression(part)));
    case 'for':
      return expression(node.of);
    case 'if':
      return analyzeIf(symbols, node.branches, node.otherwise);
    case 'set':
      expression(node.value);
      return walkTarget(node.target, visitorOf(symbols));
    case 'set block':
      return walkTarget(node.target, visitorOf(symbols));
    case 'macro':
      return symbols.store(node.name);
    case 'call block':
      return expression(node.call);
    case 'filter block':
      return expression(node.filter);
    case 'with':
      return node.values.forEach(expression);
    case 'load':
      expression(node.template);
      return node.names.forEach((name) => symbols.store(name));
    case 'scope':
    case 'block':
    case 'break':
    case 'continue':
  }
}

function analyzeIf(symbols: Symbols, branches: readonly Branch[], otherwise: readonly Statement[]): void {
  const [first, ...others] = branches as readonly [Branch, ...Branch[]];
  analyzeExpression(symbols, first.test);
  const body = symbols.copy();
  analyze(body, first.body);
  const elif = symbols.copy();
  for (const branch of others) analyzeIf(elif, [branch], []);
  const rest = symbols.copy();
  analyze(rest, otherwise);
  symbols.join([body, elif, rest]);
}
