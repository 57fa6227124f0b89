import type { Composition } from '@glulam/plugin';
import { formatBytes, openInputs, sources, type InputOptions, type Source, type SourceContext } from '@glulam/trainer';
import type { LoadedConfig } from './load-config.js';
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

/** The folder of an adapter that a source knows; undefined: none does. */
export async function bringAdapter(
  name: string,
  composition: Composition,
  signal: AbortSignal,
): Promise<string | undefined> {
  const contribution = composition.all(sources).find((each) => each.claims(name, 'adapter'));
  if (contribution === undefined) return undefined;
  const { context, clear } = sourceContext(signal);
  try {
    const source: Source = contribution.open(context);
    return await source.fetch(await source.pin(name, 'adapter'), 'adapter');
  } finally {
    clear();
  }
}

function sourceContext(signal: AbortSignal): { readonly context: SourceContext; readonly clear: () => void } {
  const { show, clear } = progressLine(process.stderr);
  const context: SourceContext = {
    signal,
    warn: (message) => process.stderr.write(`warning: ${message}\n`),
    onProgress: ({ name, bytes, totalBytes }) =>
      show(`${name}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)} here`),
  };
  return { context, clear };
}
