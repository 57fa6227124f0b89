import { quoteValue } from '@glulam/files';
import { nearest } from '@glulam/trainer';
import type { CallOptions } from '../call.js';
import { GlulamError } from '../errors.js';

/** What an option takes: in words, and the test of it. */
interface OptionType {
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
}

/** The type of each of a function's options; the compiler asks for one that is missing. */
export type OptionTypes<Options> = { readonly [Name in keyof Required<Options>]: OptionType };

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === 'string';
const isListOf = (value: unknown, fits: OptionType['fits']): boolean => Array.isArray(value) && value.every(fits);

export const text: OptionType = { expected: 'a text', fits: isText };
export const number: OptionType = { expected: 'a number', fits: (value) => typeof value === 'number' };
export const flag: OptionType = { expected: 'true or false', fits: (value) => typeof value === 'boolean' };
export const callback: OptionType = { expected: 'a function', fits: (value) => typeof value === 'function' };
export const texts: OptionType = { expected: 'a list of texts', fits: (value) => isListOf(value, isText) };
export const textRecord: OptionType = {
  expected: 'a record of texts',
  fits: (value) => isRecord(value) && Object.values(value).every(isText),
};
export const promptType: OptionType = {
  expected: 'a text, or a list or Int32Array of token ids',
  fits: (value) => isText(value) || value instanceof Int32Array || isListOf(value, number.fits),
};
export const adapterList: OptionType = {
  expected: "a list of folders, each by itself or as { name: 'runs/b', weight: 0.5 }",
  fits: (value) =>
    isListOf(value, (each) => isText(each) || (isRecord(each) && isText(each['name']) && number.fits(each['weight']))),
};
export const adaptersType: OptionType = {
  expected: `'none', 'base' or ${adapterList.expected}`,
  fits: (value) => value === 'none' || value === 'base' || adapterList.fits(value),
};
const signalType: OptionType = {
  expected: "an AbortSignal, such as a controller's signal",
  fits: (value) => isRecord(value) && 'aborted' in value && typeof value['throwIfAborted'] === 'function',
};

export const callTypes: OptionTypes<CallOptions> = {
  signal: signalType,
  folder: text,
  overrides: { expected: "values by their paths, such as { 'train.steps': 10 }", fits: isRecord },
  onEvent: callback,
  listen: callback,
  onFault: callback,
};

/**
 * Check the options that a function was called with: code without types may pass anything.
 *
 * @param name of the function
 * @param example of a call with the options that it needs
 * @throws GlulamError USAGE
 */
export function checkOptions<Options extends object>(
  name: string,
  options: Options,
  types: OptionTypes<Options>,
  { required = [], example }: { readonly required?: readonly (keyof Options & string)[]; readonly example: string },
): void {
  const given: unknown = options;
  if (!isRecord(given))
    throw new GlulamError('USAGE', `${name} got ${describe(given)} as its options; expected a record: ${example}`);
  const known = Object.keys(types);
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(types, key)) throw unknownOption(name, key, known);
    const { expected, fits } = types[key as keyof Options];
    if (value !== undefined && !fits(value))
      throw new GlulamError('USAGE', `${name}: the option ${key} is ${describe(value)}; expected ${expected}`);
  }
  const missing = required.filter((key) => given[key] === undefined);
  if (missing.length > 0)
    throw new GlulamError('USAGE', `${name} needs the option ${missing.join(' and ')}: ${example}`);
}

/**
 * Check what names a config or a model.
 *
 * @throws GlulamError USAGE
 */
export function checkSource(name: string, source: unknown): void {
  const isOpened = isRecord(source) && 'decoder' in source;
  if (isText(source) || (isRecord(source) && !isOpened)) return;
  throw new GlulamError(
    'USAGE',
    `${name} got ${isOpened ? 'an opened model' : describe(source)} as its first argument; ` +
      "expected a name, such as 'runs/mine' or 'glulam.config.ts', or a config as a record",
  );
}

function unknownOption(name: string, key: string, known: readonly string[]): GlulamError {
  const near = nearest(
    key.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    known,
  );
  const isOverride = key.includes('.') && known.includes('overrides');
  const list = `its options are ${known.join(', ')}`;
  const hint = isOverride
    ? `give it as overrides: { '${key}': ... }`
    : near === undefined
      ? list
      : `did you mean ${near}?`;
  return new GlulamError('USAGE', `${name} has no option ${key}; ${hint}`);
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `the text ${quoteValue(value)}`;
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object') return quoteValue(value) ?? 'undefined';
  return `${Array.isArray(value) ? 'the list' : 'the record'} ${quoteValue(value)}`;
}
