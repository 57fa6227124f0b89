import type { GenerateOptions } from '@glulam/model';
import { numberOption, type Arguments } from './arguments.js';
import { isOverride, unknownOption } from './command.js';

/** The options of `samplingOptions`, for commands' help. */
export const samplingHelp = (
  maxTokens: number,
): string => `  --max-tokens N      at most so many new tokens (default ${maxTokens})
  --temperature T     0, the default, takes the most likely token each time
  --top-k K, --top-p P, --seed N`;

export const samplingNames = ['max-tokens', 'temperature', 'top-k', 'top-p', 'seed'];

export function samplingOptions(options: Arguments['options'], maxTokens: number): GenerateOptions {
  return {
    maxNewTokens: numberOption(options, 'max-tokens') ?? maxTokens,
    temperature: numberOption(options, 'temperature'),
    topK: numberOption(options, 'top-k'),
    topP: numberOption(options, 'top-p'),
    seed: numberOption(options, 'seed'),
  };
}

/** The overrides of the config among a command's options, where all others have to be known ones. */
export function overridesAmong(
  command: string,
  options: Arguments['options'],
  known: readonly string[],
): Arguments['options'] {
  const overrides = Object.entries(options).filter(([name]) => !known.includes(name));
  const unknown = overrides.find(([name]) => !isOverride(name));
  if (unknown === undefined) return Object.fromEntries(overrides);
  throw unknownOption(command, unknown[0], [...known, 'adapter', 'base', 'plugins']);
}
