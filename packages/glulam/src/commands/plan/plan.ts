import { existsSync } from 'node:fs';
import { checkpointReaders, readCheckpoint } from '@glulam/model';
import {
  checkWatch,
  dataFilesOf,
  hasGivenRows,
  openData,
  openRunTokenizer,
  planRun,
  type RunPlan,
} from '@glulam/trainer';
import { bringInputs, type BroughtConfig } from '../../runs/bring-inputs.js';
import { callTypes, checkOptions, checkSource } from '../../config/check-options.js';
import { openCall, type Call, type CallOptions } from '../../call.js';
import type { GlulamConfig } from '../../config/define-config.js';
import { loadConfig } from '../../config/load-config.js';
import { checkWrites } from '../../runs/trusted-runs.js';

/**
 * What a run will be and take: what `glulam plan` shows.
 *
 * @returns virtual layers, parameters, memory in bytes by parts, and whether this machine has it
 * @throws what `loadConfig` and reading the base's headers and the data throw, each with a `code`; the signal's reason
 *   where it is aborted
 */
export async function plan(config: GlulamConfig | string, options: CallOptions = {}): Promise<RunPlan> {
  checkSource('plan', config);
  checkOptions('plan', options, callTypes, {
    example: "plan('glulam.config.ts', { overrides: { 'train.batch': 4 } })",
  });
  const { folder, overrides = {}, onFault } = options;
  const call = openCall(options);
  try {
    const { signal } = call;
    const loaded = await loadConfig(config, overrides, folder, { signal, onFault, quiet: true });
    return await planLoaded(await bringInputs(loaded, call, { weights: false }), call);
  } finally {
    await call.end();
  }
}

/** The warnings of the plugins, the base and the tokenizer are the plan's. */
export async function planLoaded(
  { config, composition, baseName, recorded }: BroughtConfig,
  { signal, onReading }: Call,
  adapterFolder?: string,
): Promise<RunPlan> {
  checkWrites({ config, recorded }, ['data.cache']);
  checkWatch(config, composition);
  // A pattern is a name of files that are here: other sources have none.
  const isThere = (file: string): boolean => existsSync(file) || /[*?]/.test(file);
  const { documents } = await readCheckpoint(config.base, composition.all(checkpointReaders));
  const tokenizer = documents.has('tokenizer.json') ? openRunTokenizer(config, documents) : undefined;
  const data =
    tokenizer !== undefined && dataFilesOf(config).every(isThere) && hasGivenRows(config, composition)
      ? await openData(config, composition, tokenizer, { signal, onProgress: onReading })
      : undefined;
  try {
    const planned = await planRun(config, composition, { data, adapterFolder, signal });
    const warnings = [...composition.warnings, ...planned.warnings, ...(tokenizer?.warnings ?? [])];
    return { ...planned, base: baseName, warnings };
  } finally {
    data?.close();
  }
}
