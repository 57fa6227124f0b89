import { existsSync } from 'node:fs';
import path from 'node:path';
import { baseOfAdapter, isAdapterFolder } from '@glulam/model';
import { compose } from '@glulam/plugin';
import type { InputOptions } from '@glulam/trainer';
import type { Arguments } from '../arguments.js';
import { bringAdapter, bringInputs, type BroughtConfig } from '../bring-inputs.js';
import type { GlulamConfig } from '../define-config.js';
import { GlulamError } from '../errors.js';
import { loadConfig, type LoadedConfig } from '../load-config.js';
import { preset } from '../preset.js';

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly help: string;
  /** Options that may be given more than once: `Arguments.lists`. */
  readonly repeatable?: readonly string[];
  run(args: Arguments, signal: AbortSignal): Promise<void>;
}

/** The part of a command's help that is the same for all that take a config. */
export const configHelp = `  --KEY.PATH VALUE  overrides any value of the config, such as --train.steps 10 or --adapter.r 16`;

export function onePositional({ positional }: Arguments, command: string, what: string): string {
  if (positional.length !== 1) {
    throw new GlulamError(
      'USAGE',
      `glulam ${command} takes one ${what}, got ${positional.length}; see glulam ${command} --help`,
    );
  }
  return positional[0]!;
}

/**
 * A run folder stands for its config and its adapter, one of its checkpoints for the config and the checkpoint's adapter,
 * an adapter folder, here or on the Hub, for its base and itself. What the config names is on this machine then.
 */
export async function loadRunOrConfig(
  name: string,
  overrides: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  wanted: InputOptions = {},
): Promise<{ loaded: BroughtConfig; adapterFolder: string | undefined }> {
  const { loaded, adapterFolder } = await findRunOrConfig(name, overrides, signal);
  return { loaded: await bringInputs(loaded, signal, wanted), adapterFolder };
}

async function findRunOrConfig(
  name: string,
  overrides: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<{ loaded: LoadedConfig; adapterFolder: string | undefined }> {
  const adapter = path.join(name, 'adapter');
  const run = existsSync(path.join(name, 'state.json')) ? path.join(name, '../..') : name;
  const config = path.join(run, 'config.json');
  if (existsSync(config) && isAdapterFolder(adapter))
    return { loaded: await loadConfig(config, overrides), adapterFolder: adapter };
  const adapterFolder = [name, adapter].find(isAdapterFolder) ?? (await fromElsewhere(name, signal));
  if (adapterFolder !== undefined) {
    const base = overrides['base'] ?? baseOfAdapter(adapterFolder);
    if (typeof base !== 'string')
      throw new GlulamError('USAGE', `${adapterFolder} does not name its base checkpoint; name it: --base FOLDER`);
    // Nothing is trained from here: the data that the config wants is not looked at.
    const fields: GlulamConfig = { base, data: { train: 'none' } };
    return { loaded: await loadConfig(fields, overrides), adapterFolder };
  }
  if (existsSync(config) && existsSync(path.join(run, 'events.jsonl'))) {
    throw new GlulamError(
      'RUN_NOT_FOUND',
      `${name} is a run that has not ended, so it has no adapter yet; go on with it: glulam train ${name} --resume, or name one of its checkpoints: ${path.join(name, 'checkpoints/step-...')}`,
    );
  }
  if (existsSync(name) && path.extname(name) !== '')
    return { loaded: await loadConfig(name, overrides), adapterFolder: undefined };
  throw new GlulamError(
    'RUN_NOT_FOUND',
    `${name} is neither a run folder (with config.json and adapter/), nor an adapter folder, nor a config file; train one: glulam train CONFIG. An adapter of the Hub is named owner/name or hf://owner/name`,
  );
}

/** An adapter of the Hub. What has the folder that it would lie in is a name of this machine, mistyped: nobody is asked. */
async function fromElsewhere(name: string, signal: AbortSignal): Promise<string | undefined> {
  if (existsSync(name) || (!name.startsWith('hf://') && existsSync(path.dirname(name)))) return undefined;
  return bringAdapter(name, compose(preset()), signal);
}
