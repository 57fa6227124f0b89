import type { CheckpointConfig } from './checkpoint-config.js';
import { checkKeys } from './config-keys.js';
import { ModelError } from '../errors.js';
import type { Family } from './family.js';
import type { ModelSpec } from './model-spec.js';

/** A config as its family reads it. */
export interface FollowedConfig {
  /** The model that the config describes. */
  readonly spec: ModelSpec;
  /** The keys that the family looked at; it is responsible for them. */
  readonly followed: ReadonlySet<string>;
  /** For users: keys that have no effect here. */
  readonly warnings: readonly string[];
}

/**
 * Reads a config by its family and accounts for every key: one that the family looked at is its own, any other is known
 * to change nothing, refused, or reported.
 *
 * @throws ModelError CONFIG_INVALID
 */
export function followConfig(family: Family, config: CheckpointConfig): FollowedConfig {
  const followed = new Set<string>();
  const warnings = new Set<string>();
  const spec = family.describe({
    ...config,
    fields: watch(config.fields, (key) => void followed.add(key)),
    report: (message) => void warnings.add(message),
  });
  const rest = Object.fromEntries(Object.entries(config.fields).filter(([key]) => !followed.has(key)));
  const { modelType, file } = config;
  const { faults, reports } = checkKeys(rest, { modelType, spec });
  if (faults.length > 0)
    throw new ModelError('CONFIG_INVALID', `${file} cannot be followed:\n  ${faults.join('\n  ')}`);
  return { spec, followed, warnings: [...warnings, ...reports.map((report) => `${file}: ${report}`)] };
}

/** What a family follows is seen from what it reads, so that no list of keys can differ from the code. */
function watch(fields: CheckpointConfig['fields'], read: (key: string) => void): CheckpointConfig['fields'] {
  return new Proxy(fields, {
    get(target, key) {
      if (typeof key === 'string') read(key);
      return Reflect.get(target, key) as unknown;
    },
  });
}
