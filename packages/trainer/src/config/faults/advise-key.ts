import { distance } from 'fastest-levenshtein';
import { runConfigSchema } from '../config.js';
import { aliasOf, plainKey } from './aliases.js';
import type { ConfigFault } from './config-fault.js';
import { keysAt, optionPaths } from './schema-walk.js';

/** The nearest of the known names, if it is near enough to be meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const [first] = [...known].sort((a, b) => distance(a, name) - distance(b, name));
  return first !== undefined && distance(first, name) <= Math.max(2, name.length / 3) ? first : undefined;
}

/** `; did you mean "..."?` where one of the known names is near enough. */
export function suggestion(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined ? '' : `; did you mean "${near}"?`;
}

const unknown = ' is not an option';

/** A key that a schema does not know, and the known key that it may stand for. */
export function unknownKey(path: readonly string[], known: readonly string[]): ConfigFault {
  const near = nearest(path.at(-1)!, known);
  if (near === undefined) return { path, problem: unknown, note: `known: ${known.join(', ') || 'none'}` };
  return { path, problem: unknown, instead: [...path.slice(0, -1), near].join('.'), isGuess: true };
}

let paths: ReadonlyMap<string, readonly string[]> | undefined;

/** Where a config has an option of this name. */
function elsewhere(key: string): readonly string[] {
  paths ??= optionPaths(runConfigSchema);
  return [...paths].find(([name]) => plainKey(name) === plainKey(key))?.[1] ?? [];
}

/**
 * The same of a config, where the key may be another tool's, or one of ours at another level. With a record as its
 * value, the keys in that are looked at as well.
 *
 * @param known the keys that the schema knows at this place
 * @param inChoice whether they are options of a kind
 */
export function unknownConfigKey(
  path: readonly string[],
  known: readonly string[],
  value: unknown,
  inChoice: boolean,
): ConfigFault[] {
  const key = path.at(-1)!;
  const parent = path.slice(0, -1);
  const same = known.find((each) => plainKey(each) === plainKey(key));
  if (same !== undefined) return [{ path, problem: unknown, instead: [...parent, same].join('.') }];
  const alias = aliasOf(key);
  if (alias !== undefined) {
    const { option, note } = alias;
    if (option === undefined) return [{ path, problem: unknown, note }];
    const leaf = option.slice(option.lastIndexOf('.') + 1);
    const isHere = option.split('.').slice(0, -1).join('.') === parent.filter((part) => !/^\d+$/.test(part)).join('.');
    // Of the options of a kind the one of the same name is meant: an evaluator's own batch, not that of training.
    if (inChoice && known.includes(leaf))
      return [{ path, problem: unknown, instead: [...parent, leaf].join('.'), note: isHere ? note : undefined }];
    if (!isHere || known.includes(leaf)) {
      const nested = isRecord(value) && keysAt(runConfigSchema, option.split('.')).length > 0;
      const inner = nested ? foreignKeys(path, value) : [];
      return [{ path, problem: unknown, instead: option, note }, ...inner];
    }
  }
  const [place, ...others] = elsewhere(key);
  if (place !== undefined && others.length === 0) return [{ path, problem: unknown, instead: place }];
  if (place !== undefined && others.length < 3)
    return [{ path, problem: unknown, note: `did you mean ${[place, ...others].join(' or ')}?` }];
  const fault = unknownKey(path, known);
  if (!isRecord(value)) return [fault];
  // What stands in a group whose name is misspelt is right in the group that was meant.
  const meant = fault.instead === undefined ? [] : keysAt(runConfigSchema, fault.instead.split('.'));
  return [
    fault,
    ...foreignKeys(path, Object.fromEntries(Object.entries(value).filter(([key]) => !meant.includes(key)))),
  ];
}

/** In a record that nothing is known of: keys of other tools, and of ours. */
function foreignKeys(path: readonly string[], value: Readonly<Record<string, unknown>>): ConfigFault[] {
  return Object.entries(value).flatMap(([key, inner]) =>
    aliasOf(key) === undefined && elsewhere(key).length === 0 ? [] : unknownConfigKey([...path, key], [], inner, false),
  );
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
