import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ablationSchema, searchSchema } from '@glulam/ablation';
import { yamlLines } from '@glulam/model';
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
} from '@glulam/trainer';
import { pluginsFault } from './load-plugins.js';

/** Where a config was written. */
export interface ConfigOrigin {
  readonly file: string;
  /** Key paths that were given beside the file, on the command line. */
  readonly overrides: readonly string[];
}

/** What is wrong with a config, as far as it can be known without its plugins. */
export function configFaults(
  { ablation = {}, search = {}, ...fields }: Readonly<Record<string, unknown>>,
  plugins: unknown = [],
): ConfigFault[] {
  return [
    ...findFaults(runConfigSchema, fields),
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
function namesIn({ file, overrides }: ConfigOrigin): FaultNames {
  const isOption = (path: readonly string[]): boolean =>
    overrides.some((name) => `${path.join('.')}.`.startsWith(`${name}.`));
  const lineOf = ['.json', '.yaml', '.yml'].includes(path.extname(file))
    ? yamlLines(readFileSync(file, 'utf8'))
    : () => undefined;
  return {
    place(keys) {
      if (isOption(keys)) return `--${keys.join('.')}`;
      const line = lineOf(keys);
      return `${keys.join('.')}${line === undefined ? '' : ` (line ${line})`}`;
    },
    option: ({ path: keys, instead }) => (isOption(keys) ? `--${instead}` : instead!),
  };
}
