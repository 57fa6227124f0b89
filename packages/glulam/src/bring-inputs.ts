import type { Composition } from '@glulam/plugin';
import { formatBytes, openInputs, sources, type InputOptions, type Source, type SourceContext } from '@glulam/trainer';
import type { LoadedConfig } from './load-config.js';
import { stderr } from './output.js';
import { progressLine } from './progress-line.js';

/** A config with all that it names on this machine. */
export interface BroughtConfig extends LoadedConfig {
  /** The base as it may be written down: on the Hub its name with the commit. */
  readonly baseName: string;
}

/** Download what a config names and is elsewhere; a terminal shows how far that is. */
export async function bringInputs(
  loaded: LoadedConfig,
  signal: AbortSignal,
  options: InputOptions = {},
): Promise<BroughtConfig> {
  const { context, clear } = sourceContext(signal);
  try {
    const inputs = await openInputs(loaded.config, loaded.composition, context, options);
    return { ...loaded, config: await inputs.fetch(), baseName: inputs.pinned.base };
  } finally {
    clear();
  }
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
  signal: AbortSignal,
  { weights = true }: InputOptions = {},
): Promise<BroughtModel | undefined> {
  const base = weights ? 'base' : 'base without weights';
  const contribution = composition.all(sources).find((each) => each.claims(name, base));
  if (contribution === undefined) return undefined;
  const { context, clear } = sourceContext(signal);
  try {
    const source: Source = contribution.open(context);
    const pinned = await source.pin(name, base);
    const isBase = (await source.roleOf?.(pinned)) === 'base';
    return { folder: await source.fetch(pinned, isBase ? base : 'adapter'), pinned, isBase };
  } finally {
    clear();
  }
}

function sourceContext(signal: AbortSignal): { readonly context: SourceContext; readonly clear: () => void } {
  const { show, clear } = progressLine(stderr);
  const context: SourceContext = {
    signal,
    warn: (message) => stderr.write(`warning: ${message}\n`),
    onProgress: ({ name, bytes, totalBytes }) =>
      show(`${name}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)} here`),
  };
  return { context, clear };
}
