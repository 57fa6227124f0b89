import { existsSync } from 'node:fs';
import path from 'node:path';
import { dataFilesOf, openData, openRunTokenizer, planRun, type RunPlan } from '@glulam/trainer';
import { bringInputs, type BroughtConfig } from '../bring-inputs.js';
import type { GlulamConfig } from '../define-config.js';
import { loadConfig } from '../load-config.js';

/**
 * What a run will be and take: what `glulam plan` shows. Paths of a config given as a record are relative to `folder`,
 * by default the working folder.
 */
export async function plan(
  config: GlulamConfig | string,
  { folder, signal = new AbortController().signal }: { readonly folder?: string; readonly signal?: AbortSignal } = {},
): Promise<RunPlan> {
  const loaded = await bringInputs(await loadConfig(config, {}, folder), signal, { weights: false });
  return planLoaded(loaded, { signal });
}

export async function planLoaded(
  { config, composition, baseName }: BroughtConfig,
  { signal, adapterFolder }: { readonly signal?: AbortSignal | undefined; readonly adapterFolder?: string | undefined },
): Promise<RunPlan> {
  // A pattern is a name of files that are here: other sources have none.
  const isThere = (file: string): boolean => existsSync(file) || /[*?]/.test(file);
  const tokenizer = existsSync(path.join(config.base, 'tokenizer.json')) ? openRunTokenizer(config) : undefined;
  const data =
    tokenizer !== undefined && dataFilesOf(config).every(isThere)
      ? await openData(config, composition, tokenizer, { signal })
      : undefined;
  try {
    const planned = await planRun(config, composition, { data, adapterFolder, signal });
    return { ...planned, base: baseName, warnings: [...planned.warnings, ...(tokenizer?.warnings ?? [])] };
  } finally {
    data?.close();
  }
}
