import { search as searchLoaded, type SearchOptions, type SearchResult } from '@glulam/ablation';
import type { GlulamConfig } from './define-config.js';
import { loadConfig } from './load-config.js';
import { trustOwnRun } from './trusted-runs.js';

export interface SearchConfigOptions extends SearchOptions {
  /** Paths of a config given as a record are relative to this folder; default: the working folder. */
  readonly folder?: string;
}

/** Rank layer maps as a config says, given as a record or as the name of a file: what `glulam search` does. */
export async function search(
  config: GlulamConfig | string,
  { folder, ...options }: SearchConfigOptions = {},
): Promise<SearchResult> {
  const loaded = await loadConfig(config, {}, folder);
  await trustOwnRun(loaded.config);
  return searchLoaded(loaded.config, loaded.search, loaded.composition, options);
}
