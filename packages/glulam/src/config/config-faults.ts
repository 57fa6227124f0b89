import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ablationSchema, searchSchema } from '@glulam/ablation';
import { yamlLines } from '@glulam/files';
import type { Composition } from '@glulam/plugin';
import {
  checkChoices,
  configError,
  describeFault,
  findFaults,
  runConfigSchema,
  sortFaults,
  type ConfigFault,
  type FaultNames,
  type KindsOf,
} from '@glulam/trainer';
import { pluginsFault } from './load-plugins.js';

/** Where a config was written. */
interface ConfigOrigin {
  readonly file: string;
  /** Key paths that were given beside the file, on the command line. */
  readonly overrides: readonly string[];
  /** What the file holds. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * What is wrong with a config, as far as it can be known without its plugins.
 *
 * @param kindsOf of which one that is written as a text is compared
 */
export function configFaults(
  { ablation = {}, search = {}, ...fields }: Readonly<Record<string, unknown>>,
  plugins: unknown = [],
  kindsOf?: KindsOf,
): ConfigFault[] {
  return [
    ...findFaults(runConfigSchema, fields, [], kindsOf),
    ...findFaults(ablationSchema, ablation, ['ablation']),
    ...findFaults(searchSchema, search, ['search']),
    ...(Array.isArray(plugins) ? [] : [pluginsFault(plugins)]),
  ];
}

/** What is wrong with the kinds that a config chooses and with their options; `all`: no more plugins come. */
export function choiceFaults(
  { search = {}, ...fields }: Readonly<Record<string, unknown>>,
  composition: Composition,
  options: { readonly all: boolean },
): ConfigFault[] {
  return [
    ...checkChoices(runConfigSchema, fields, composition, options),
    ...checkChoices(searchSchema, search, composition, options, ['search']),
  ];
}

/** @throws TrainerError CONFIG_INVALID with all faults, if there are any */
export function refuseFaults(faults: readonly ConfigFault[], origin?: ConfigOrigin): void {
  if (faults.length === 0) return;
  const names = origin && namesIn(origin);
  throw configError(sortFaults(faults).map((fault) => describeFault(fault, names)));
}

/** Keys of JSON and YAML files have their line, keys of the command line are options. */
function namesIn({ file, overrides, fields }: ConfigOrigin): FaultNames {
  /** The option that wrote the value at a path, or made a group of this name; and what its name has after the path. */
  const optionOf = (path: readonly string[]): { readonly name: string; readonly rest: string } | undefined => {
    const key = path.join('.');
    if (overrides.some((name) => `${key}.`.startsWith(`${name}.`))) return { name: key, rest: '' };
    const name = isWritten(fields, path) ? undefined : overrides.find((each) => each.startsWith(`${key}.`));
    return name === undefined || key === '' ? undefined : { name, rest: name.slice(key.length) };
  };
  const lineOf = ['.json', '.yaml', '.yml'].includes(path.extname(file))
    ? yamlLines(readFileSync(file, 'utf8'))
    : () => undefined;
  return {
    place(keys) {
      const option = optionOf(keys);
      if (option !== undefined) return `--${option.name}`;
      const line = lineOf(keys);
      return `${keys.join('.')}${line === undefined ? '' : ` (line ${line})`}`;
    },
    option({ path: keys, instead }) {
      const option = optionOf(keys);
      return option === undefined ? instead! : `--${instead}${option.rest}`;
    },
    kind: (keys, name) =>
      optionOf(keys) === undefined
        ? `${keys.at(-1)}: { kind: ${JSON.stringify(name)} }`
        : `--${keys.join('.')}.kind ${name}`,
  };
}

const isWritten = (fields: unknown, [key, ...rest]: readonly string[]): boolean =>
  key === undefined ||
  (typeof fields === 'object' &&
    fields !== null &&
    key in fields &&
    isWritten((fields as Readonly<Record<string, unknown>>)[key], rest));
