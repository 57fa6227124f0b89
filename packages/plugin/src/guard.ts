import { PluginError } from './errors.js';

/** What a plugin brought to which point. */
interface Owner {
  readonly plugin: string;
  readonly point: string;
  readonly kind: string;
}

const owners = new WeakMap<object, Owner>();

/** A contribution whose methods name its plugin when they fail. */
export function guardContribution<T extends object>(contribution: T, owner: Owner): T {
  const guarded = guardMethods(contribution, owner);
  owners.set(guarded, owner);
  return guarded;
}

/**
 * What a method of a contribution gave, such as an opened evaluator: its methods name the plugin as well. The value
 * itself where the contribution comes from no composition.
 */
export function guardOpened<T extends object>(contribution: object, opened: T): T {
  const owner = owners.get(contribution);
  if (owner === undefined) return opened;
  const guarded = guardMethods(opened, owner);
  owners.set(guarded, owner);
  return guarded;
}

/** The error for a method that gave what it should not: of a contribution, or of what one opened. It names the plugin. */
export function wrongResult(object: object, hook: string, problem: string): PluginError {
  const owner = owners.get(object);
  const what = owner === undefined ? hook : describeOwner(owner, hook);
  return new PluginError('PLUGIN_FAILED', `${what}: ${problem}`);
}

/** Run code of a contribution that is none of its methods, such as its schema. */
export function guardCall<T>(contribution: object, hook: string, run: () => T): T {
  const owner = owners.get(contribution);
  return owner === undefined ? run() : guarding(owner, hook, run);
}

/** Another object with all that the first has; values are read from the first whenever they are asked for. */
function guardMethods<T extends object>(object: T, owner: Owner): T {
  const guarded = {};
  for (const name of namesOf(object)) {
    const value = (object as Record<string, unknown>)[name];
    Object.defineProperty(
      guarded,
      name,
      typeof value === 'function'
        ? {
            enumerable: true,
            value: (...args: unknown[]): unknown =>
              guarding(owner, `${name}()`, () => (value as (...args: unknown[]) => unknown).apply(object, args)),
          }
        : { enumerable: true, get: () => (object as Record<string, unknown>)[name] },
    );
  }
  return guarded as T;
}

/** Of an object and its classes, but not what every object has. */
function namesOf(object: object): Set<string> {
  const names = new Set<string>();
  for (let at: unknown = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const name of Object.getOwnPropertyNames(at)) if (name !== 'constructor') names.add(name);
  return names;
}

function guarding<T>(owner: Owner, hook: string, run: () => T): T {
  try {
    const result = run();
    if (!(result instanceof Promise)) return result;
    return result.catch((cause: unknown) => {
      throw failure(owner, hook, cause);
    }) as T;
  } catch (cause) {
    throw failure(owner, hook, cause);
  }
}

const builtIn = new Set([
  'Error',
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'EvalError',
  'URIError',
  'AggregateError',
]);

const describeOwner = ({ plugin, point, kind }: Owner, hook: string): string =>
  `the plugin ${plugin} failed in ${hook} of its "${kind}" (${point})`;

/** What a plugin refuses deliberately has a class and a code and is for users; anything else is a fault of the plugin. */
function failure(owner: Owner, hook: string, cause: unknown): unknown {
  if (cause instanceof Error) {
    const { name, code } = cause as { readonly name: string; readonly code?: unknown };
    if (name === 'AbortError' || (typeof code === 'string' && !builtIn.has(name))) return cause;
  }
  const message = cause instanceof Error ? cause.message : `it threw ${String(cause)}, which is no Error`;
  return new PluginError('PLUGIN_FAILED', `${describeOwner(owner, hook)}: ${message}`, [], cause);
}
