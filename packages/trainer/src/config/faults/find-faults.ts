import { quoteValue } from '@glulam/files';
import type { z } from 'zod';
import { nearest, suggestion, unknownConfigKey, unknownKey } from './advise-key.js';
import type { ConfigFault } from './config-fault.js';
import { exampleAt, isWholeAt, keysAt, metaAt, pointAt } from './schema-walk.js';

type Issue = z.core.$ZodIssue;

interface Context {
  readonly schema: z.ZodType;
  /** Of the value that the schema checks. */
  readonly place: readonly string[];
  /** The value is a config's or the options of a kind: keys of other tools are known. */
  readonly isConfig: boolean;
  readonly isChoice: boolean;
  /** The kinds of a point, where they are known. */
  readonly kindsOf?: KindsOf | undefined;
}

/** The kinds that a config may choose at a point. */
export type KindsOf = (point: string) => readonly string[];

/**
 * Everything that a schema finds wrong in a value, as faults at their paths.
 *
 * @param kindsOf of which one that is written as a text is compared
 */
export function findFaults(
  schema: z.ZodType,
  value: unknown,
  place: readonly string[] = [],
  kindsOf?: KindsOf,
): ConfigFault[] {
  const { error } = schema.safeParse(value, { reportInput: true });
  const context = { schema, place, isConfig: true, isChoice: false, kindsOf };
  return error?.issues.flatMap((issue) => faultsOf(issue, context)) ?? [];
}

/** The same of the options of a kind, `{ kind, ...options }` without the kind. */
export function findOptionFaults(schema: z.ZodType, value: unknown, place: readonly string[]): ConfigFault[] {
  const { error } = schema.safeParse(value, { reportInput: true });
  const context = { schema, place, isConfig: true, isChoice: true };
  return error?.issues.flatMap((issue) => faultsOf(issue, context)) ?? [];
}

/** Faults of a value that is no config. */
export function faultsOfError(error: z.ZodError, schema: z.ZodType, place: readonly string[]): ConfigFault[] {
  const context = { schema, place, isConfig: false, isChoice: false };
  return error.issues.flatMap((issue) => faultsOf(issue, context));
}

function faultsOf(issue: Issue, context: Context): ConfigFault[] {
  const { schema, place, isConfig, isChoice } = context;
  const path = [...place, ...issue.path.map(String)];
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path);
    const written = (issue.input ?? {}) as Readonly<Record<string, unknown>>;
    return issue.keys.flatMap((key) => {
      const full = [...path, key];
      return isConfig ? unknownConfigKey(full, known, written[key], isChoice) : [unknownKey(full, known)];
    });
  }
  if (isMissing(issue)) {
    const example = exampleAt(schema, issue.path);
    const note = example === undefined ? undefined : `for example ${path.at(-1)}: ${JSON.stringify(example)}`;
    return [{ path, problem: ' is missing', note, isMissing: true }];
  }
  const got = 'input' in issue ? quoteGot(issue.input) : '';
  // What a schema says of its alternatives itself is better than what each of them says.
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    const branches = issue.errors.flatMap(flattened);
    // Where alternatives take values of this type, what is wrong with the one that fits best is what is wrong.
    const [best] = branches.filter((branch) => typesOf(branch).length === 0).sort((a, b) => sizeOf(a) - sizeOf(b));
    if (best !== undefined)
      return best.flatMap((each) => faultsOf({ ...each, path: [...issue.path, ...each.path] }, context));
    const expected = [...new Set(branches.flatMap(typesOf))];
    const inCode = alsoInCode(schema, issue.path);
    const names = expected
      // A record then only stands for what was passed in code.
      .filter((each) => inCode === '' || each !== typeNames['object'])
      .map((each) => (each === typeNames['number'] && isWholeAt(schema, issue.path) ? typeName('int') : each));
    const values = branches.flat().flatMap((each) => (each.code === 'invalid_value' ? each.values.map(String) : []));
    const near = typeof issue.input === 'string' ? suggestion(issue.input, values) : '';
    return [{ path, problem: `: expected ${listOf(names)}${inCode}${got}${near}` }];
  }
  const problem = `: ${plainMessage(issue, isWholeAt(schema, issue.path))}${alsoInCode(schema, issue.path)}${got}`;
  const { input } = issue;
  if (typeof input !== 'string') return [{ path, problem }];
  const point = issue.code === 'invalid_type' ? pointAt(schema, issue.path) : undefined;
  if (point !== undefined) {
    const kinds = context.kindsOf?.(point) ?? [];
    const near = kinds.includes(input) ? undefined : nearest(input, kinds);
    return [{ path, problem, kind: { name: near ?? input, isGuess: near !== undefined } }];
  }
  if (issue.code !== 'invalid_value') return [{ path, problem }];
  return [{ path, problem: `${problem}${suggestion(input, issue.values.map(String))}` }];
}

/** How much is wrong by an alternative. */
const sizeOf = (branch: readonly Issue[]): number =>
  branch.reduce((sum, each) => sum + (each.code === 'unrecognized_keys' ? each.keys.length : 1), 0);

/** What no file can hold and code may pass. */
function alsoInCode(schema: z.ZodType, path: readonly PropertyKey[]): string {
  const what = metaAt(schema, path, 'alsoInCode');
  return typeof what === 'string' ? `, or in code ${what}` : '';
}

const isMissing = (issue: Issue): boolean =>
  issue.code === 'invalid_type'
    ? issue.message.endsWith('received undefined')
    : issue.code === 'invalid_union' && issue.message === 'Invalid input' && issue.errors.length > 0
      ? issue.errors
          .flatMap(flattened)
          .every(([first]) => first !== undefined && first.path.length === 0 && isMissing(first))
      : false;

/** Alternatives that have alternatives themselves, as one list. */
function flattened(branch: Issue[]): Issue[][] {
  const [only] = branch;
  return branch.length === 1 && only!.code === 'invalid_union' && only!.path.length === 0
    ? only!.errors.flatMap(flattened)
    : [branch];
}

/** What an alternative wants where the value is of another type altogether. */
const typesOf = (branch: Issue[]): string[] =>
  branch.flatMap((each) => {
    if (each.path.length > 0) return [];
    if (each.code === 'invalid_type') return [typeName(each.expected)];
    return each.code === 'invalid_value' ? each.values.map((value) => JSON.stringify(value)) : [];
  });

const typeNames: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a record',
  record: 'a record',
};
const typeName = (type: string): string => typeNames[type] ?? type;

/** zod's own messages in our words; those that a schema brings as they are. */
function plainMessage(issue: Issue, isWhole: boolean): string {
  const message = issue.message.replace(/^(Invalid input|Invalid option|Too small|Too big): /, '');
  if (message === issue.message) return message;
  if (issue.code === 'invalid_type')
    return `expected ${typeName(isWhole && issue.expected === 'number' ? 'int' : issue.expected)}`;
  if (issue.code === 'invalid_value') return `expected ${listOf(issue.values.map((value) => JSON.stringify(value)))}`;
  if (issue.code === 'too_small' && (issue.origin === 'number' || issue.origin === 'int'))
    return `expected a number ${issue.inclusive ? 'of at least' : 'above'} ${issue.minimum}`;
  if (issue.code === 'too_big' && (issue.origin === 'number' || issue.origin === 'int'))
    return `expected a number ${issue.inclusive ? 'of at most' : 'below'} ${issue.maximum}`;
  if (issue.code === 'too_small' && issue.minimum === 1 && issue.origin in typeNames)
    return `expected ${typeName(issue.origin)} that is not empty`;
  return message;
}

const listOf = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

/** A short value is quoted; of a long one the key says enough. */
function quoteGot(value: unknown): string {
  if (value === undefined) return '';
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : quoteValue(value);
  return text === undefined ? `, got a ${typeof value}` : text.length > 80 ? '' : `, got ${text}`;
}
