import { events, train, type RunEvent, type RunEvents, type TrainResult } from '@glulam/trainer';
import { tap } from 'rxjs';
import type { GlulamConfig } from './define-config.js';
import { loadConfig } from './load-config.js';
import { trustOwnRun } from './trusted-runs.js';

export interface RunOptions {
  /** Aborting ends the run after the step it is in, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Go on from the newest whole checkpoint of the run folder; where there is none, begin. */
  readonly resume?: boolean;
  /** Paths of a config given as a record are relative to this folder; default: the working folder. */
  readonly folder?: string;
  /** Sees every event, in order; `ask` for an evaluation, a checkpoint or a stop. If it throws, it alone is cut off. */
  readonly onEvent?: (event: RunEvent, ask: RunEvents['request']) => void;
}

/** Train as a config says, given as a record or as the name of a file: what `glulam train` does. */
export async function run(config: GlulamConfig | string, options: RunOptions = {}): Promise<TrainResult> {
  const { signal, resume, folder, onEvent } = options;
  const loaded = await loadConfig(config, {}, folder);
  await trustOwnRun(loaded.config);
  const stream = loaded.composition.get(events);
  if (onEvent !== undefined)
    stream.listen('onEvent', (all) => all.pipe(tap((event) => onEvent(event, stream.request))));
  return train(loaded.config, loaded.composition, { signal, resume });
}
