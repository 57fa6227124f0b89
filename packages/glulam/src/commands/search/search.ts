import { search as searchLoaded, type SearchOptions, type SearchResult } from '@glulam/ablation';
import { callback, callTypes, checkOptions, checkSource, flag, type OptionTypes } from '../../config/check-options.js';
import { openCall, type CallOptions } from '../../call.js';
import type { GlulamConfig } from '../../config/define-config.js';
import { loadForWriting } from '../../config/load-for-writing.js';

/** Options of `search`. */
export interface SearchConfigOptions extends SearchOptions, CallOptions {
  readonly signal?: AbortSignal | undefined;
}

const optionTypes: OptionTypes<SearchConfigOptions> = {
  ...callTypes,
  resume: flag,
  onMap: callback,
  onFetch: callback,
};

/**
 * Rank layer maps as a config says, given as a record or as the name of a file: what `glulam search` does.
 *
 * @throws AblationError and what opening the base and its data throws, each with a `code`
 */
export async function search(config: GlulamConfig | string, options: SearchConfigOptions = {}): Promise<SearchResult> {
  checkSource('search', config);
  checkOptions('search', options, optionTypes, { example: "search('glulam.config.ts', { resume: true })" });
  const { resume, onMap, onFetch } = options;
  const call = openCall(options);
  const { signal } = call;
  try {
    const loaded = await loadForWriting(config, options, call, true);
    loaded.composition.warnings.forEach(call.warn);
    return await searchLoaded(loaded.config, loaded.search, loaded.composition, { signal, resume, onMap, onFetch });
  } finally {
    await call.end();
  }
}
