import { ablate as ablateLoaded, type AblateOptions, type AblationResult } from '@glulam/ablation';
import { callback, callTypes, checkOptions, checkSource, flag, type OptionTypes } from '../../config/check-options.js';
import { openCall, type CallOptions } from '../../call.js';
import type { GlulamConfig } from '../../config/define-config.js';
import { loadForWriting } from '../../config/load-for-writing.js';

/** Options of `ablate`; events are those of every run, in order. */
export interface AblateConfigOptions extends AblateOptions, CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Print the runs' progress where the config names no reporters, as the command line does; default: false. */
  readonly console?: boolean | undefined;
}

const optionTypes: OptionTypes<AblateConfigOptions> = {
  ...callTypes,
  resume: flag,
  console: flag,
  onRun: callback,
  onFetch: callback,
};

/**
 * Compare variants as a config says, given as a record or as the name of a file: what `glulam ablate` does.
 *
 * @throws AblationError and what `run` throws, each with a `code`
 */
export async function ablate(
  config: GlulamConfig | string,
  options: AblateConfigOptions = {},
): Promise<AblationResult> {
  checkSource('ablate', config);
  checkOptions('ablate', options, optionTypes, { example: "ablate('glulam.config.ts', { resume: true })" });
  const { resume, onRun, onFetch, console = false } = options;
  const call = openCall(options);
  const { signal } = call;
  try {
    const loaded = await loadForWriting(config, options, call, !console);
    return await ablateLoaded(loaded.config, loaded.ablation, loaded.composition, { signal, resume, onRun, onFetch });
  } finally {
    await call.end();
  }
}
