import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Arguments } from '../arguments.js';
import { GlulamError } from '../errors.js';
import { loadConfig, type LoadedConfig } from '../load-config.js';

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly help: string;
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

/** A run folder stands for its config and its adapter. */
export async function loadRunOrConfig(
  name: string,
  overrides: Readonly<Record<string, unknown>>,
): Promise<{ loaded: LoadedConfig; adapterFolder: string | undefined }> {
  const config = path.join(name, 'config.json');
  const adapter = path.join(name, 'adapter');
  if (existsSync(config) && existsSync(adapter))
    return { loaded: await loadConfig(config, overrides), adapterFolder: adapter };
  if (existsSync(name) && path.extname(name) !== '')
    return { loaded: await loadConfig(name, overrides), adapterFolder: undefined };
  throw new GlulamError(
    'RUN_NOT_FOUND',
    `${name} is neither a run folder (with config.json and adapter/) nor a config file; train one: glulam train CONFIG`,
  );
}
