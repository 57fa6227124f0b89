import { nearest } from '@glulam/trainer';
import type { Arguments } from './arguments.js';
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
export const configHelp = `  --KEY.PATH VALUE  overrides any value of the config, such as --train.steps 10 or --adapter.r 16;
                    paths are relative to the working folder`;

/** Whether an option overrides a value of the config, in commands whose other options are all known. */
export const isOverride = (name: string): boolean => name === 'base' || name === 'plugins' || name.includes('.');

/** Of an option that a command does not have, with the one that was meant. */
export function unknownOption(command: string, name: string, known: readonly string[]): GlulamError {
  const near = nearest(name.replaceAll('_', '-'), known);
  const hint = near === undefined ? `it has ${known.map((each) => `--${each}`).join(', ')}` : `did you mean --${near}?`;
  return new GlulamError('USAGE', `glulam ${command} has no option --${name}; ${hint}`);
}

export function onePositional({ positional }: Arguments, command: string, what: string): string {
  if (positional.length !== 1) {
    const got = positional.length === 0 ? 'none' : positional.map((each) => `"${each}"`).join(' and ');
    throw new GlulamError(
      'USAGE',
      `glulam ${command} takes one ${what}, got ${got}; ${positional.length > 1 ? 'put quotes around a text of several words, and ' : ''}see glulam ${command} --help`,
    );
  }
  return positional[0]!;
}
