import { numberText, parseJson } from '@glulam/trainer';

/** A row as formats see it. */
export type Row = Readonly<Record<string, unknown>>;

/** A text with something in it. */
export const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

/** An object with keys; Maps and numbers that are objects (see `parseJson`) are none. */
export const isRecord = (value: unknown): value is Row =>
  isObject(value) && !(value instanceof Map) && !(value instanceof Number);

/** An object of JSON, whose keys may be in a Map. */
export const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Number);

/** What kind of value a row has where another was expected. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (numberText(value) !== undefined) return 'a number';
  return typeof value === 'object' ? 'an object' : typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}

/** Why columns are not the texts that they should be; undefined: they are. */
export function notTexts(row: Row, keys: readonly string[]): string | undefined {
  const wrong = keys.filter((key) => typeof row[key] !== 'string');
  const missing = wrong.filter((key) => row[key] === undefined);
  const faults = wrong.map((key) => `"${key}" is ${kindOf(row[key])}${missing.includes(key) ? '' : ', not a text'}`);
  if (missing.length > 0) faults.push(`its columns are ${Object.keys(row).filter(isName).join(', ') || 'none'}`);
  return wrong.length === 0 ? undefined : faults.join(', ');
}

/** Names that are the same in many rows; others may be anything, and reasons do not repeat them. */
export const isName = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{1,24}$/.test(value);

/** The first of several keys that a row has a value for. */
export const firstKey = (row: Row, keys: readonly string[]): string | undefined =>
  keys.find((key) => row[key] !== undefined && row[key] !== null);

/** A list, or the JSON text of one, as columns of CSV and Parquet hold it. */
export function listIn(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value as unknown[];
  if (typeof value !== 'string' || !value.trimStart().startsWith('[')) return undefined;
  try {
    return parseJson(value) as unknown[];
  } catch {
    return undefined;
  }
}

/** Why a value is no list. */
export const notList = (key: string, value: unknown, what: string): string =>
  typeof value === 'string'
    ? `"${key}" is a text, and not the JSON of a list of ${what}`
    : `"${key}" is ${kindOf(value)}${value === undefined ? '' : `, not a list of ${what}`}`;
