import { train, type TrainResult } from '@glulam/trainer';
import { callTypes, checkOptions, checkSource, flag, type OptionTypes } from '../../config/check-options.js';
import { openCall, type CallOptions } from '../../call.js';
import type { GlulamConfig } from '../../config/define-config.js';
import { loadForWriting } from '../../config/load-for-writing.js';
import { withRecordedPlugins } from '../../runs/with-recorded-plugins.js';

/** Options of `run`. */
export interface RunOptions extends CallOptions {
  /** Go on from the newest whole checkpoint of the run folder; where there is none, begin. */
  readonly resume?: boolean | undefined;
  /** Print the run's progress where the config names no reporters, as the command line does; default: false. */
  readonly console?: boolean | undefined;
}

const optionTypes: OptionTypes<RunOptions> = { ...callTypes, resume: flag, console: flag };

/**
 * Train as a config says, given as a record or as the name of a file: what `glulam train` does.
 *
 * Nothing is printed unless the config names reporters, and no signal is listened to but `signal`. Any number of runs may
 * be under way at once, each in a folder of its own.
 *
 * @returns where the run is, how far it came and its last scores; `stopped` where `signal` or a request ended it early
 * @throws GlulamError, TrainerError, ModelError, TensorsError and PluginError, each with a `code`; the signal's reason
 *   where it is aborted before there is anything to keep
 */
export async function run(config: GlulamConfig | string, options: RunOptions = {}): Promise<TrainResult> {
  checkSource('run', config);
  checkOptions('run', options, optionTypes, {
    example: "run('glulam.config.ts', { overrides: { 'train.steps': 10 } })",
  });
  const { resume, console = false } = options;
  const call = openCall(options);
  const { signal } = call;
  try {
    signal.throwIfAborted();
    const loaded = await loadForWriting(config, options, call, !console);
    return await withRecordedPlugins(loaded, () => train(loaded.config, loaded.composition, { signal, resume }));
  } finally {
    await call.end();
  }
}
