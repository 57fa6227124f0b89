import { guardOpened, type Composition } from '@glulam/plugin';
import { openInputs, sources, type InputOptions, type Source } from '@glulam/trainer';
import type { Call } from '../call.js';
import type { LoadedConfig } from '../config/load-config.js';

/** A config with all that it names on this machine. */
export interface BroughtConfig extends LoadedConfig {
  /** The base as it may be written down: on the Hub its name with the commit. */
  readonly baseName: string;
}

/** Download what a config names and is elsewhere. */
export async function bringInputs(
  loaded: LoadedConfig,
  call: Call,
  options: InputOptions = {},
): Promise<BroughtConfig> {
  const inputs = await openInputs(loaded.config, loaded.composition, call, options);
  return { ...loaded, config: await inputs.fetch(), baseName: inputs.pinned.base };
}

/** A base or an adapter from elsewhere. */
export interface BroughtModel {
  readonly folder: string;
  /** Its name with the commit. */
  readonly pinned: string;
  readonly isBase: boolean;
}

/** The base or adapter that a name stands for; undefined: no source knows such names. */
export async function bringModel(
  name: string,
  composition: Composition,
  call: Call,
  { weights = true }: InputOptions = {},
): Promise<BroughtModel | undefined> {
  const base = weights ? 'base' : 'base without weights';
  const contribution = composition.all(sources).find((each) => each.claims(name, base));
  if (contribution === undefined) return undefined;
  const source: Source = guardOpened(contribution, contribution.open(call));
  const pinned = await source.pin(name, base);
  const isBase = (await source.roleOf?.(pinned)) === 'base';
  return { folder: await source.fetch(pinned, isBase ? base : 'adapter'), pinned, isBase };
}
