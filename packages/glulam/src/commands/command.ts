import type { Arguments } from '../arguments.js';
import { GlulamError } from '../errors.js';

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
