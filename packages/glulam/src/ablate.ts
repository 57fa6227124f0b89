import { ablate as ablateLoaded, type AblateOptions, type AblationResult } from '@glulam/ablation';
import { events, type RunEvent, type RunEvents } from '@glulam/trainer';
import { tap } from 'rxjs';
import type { GlulamConfig } from './define-config.js';
import { loadConfig } from './load-config.js';
import { trustOwnRun } from './trusted-runs.js';

export interface AblateConfigOptions extends AblateOptions {
  /** Paths of a config given as a record are relative to this folder; default: the working folder. */
  readonly folder?: string;
  /** Sees every event of every run, in order. If it throws, it alone is cut off. */
  readonly onEvent?: (event: RunEvent, ask: RunEvents['request']) => void;
}

/** Compare variants as a config says, given as a record or as the name of a file: what `glulam ablate` does. */
export async function ablate(
  config: GlulamConfig | string,
  { folder, onEvent, ...options }: AblateConfigOptions = {},
): Promise<AblationResult> {
  const loaded = await loadConfig(config, {}, folder);
  await trustOwnRun(loaded.config);
  const stream = loaded.composition.get(events);
  if (onEvent !== undefined)
    stream.listen('onEvent', (all) => all.pipe(tap((event) => onEvent(event, stream.request))));
  return ablateLoaded(loaded.config, loaded.ablation, loaded.composition, options);
}
