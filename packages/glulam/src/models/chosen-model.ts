import type { AdapterSelection } from '@glulam/model';
import type { Arguments } from '../cli/arguments.js';
import { GlulamError } from '../errors.js';
import type { AdapterChoices } from './open-model.js';
import { parseChoice } from './adapter-choice.js';

/** The options of `adaptersAmong`, for commands' help. */
export const adapterHelp = `  --adapter FOLDER[=WEIGHT]
                      a run's or adapter's folder in place of RUN's own; given more than once, their weighted sum
  --no-adapter        the expanded layers alone, without any adapter
  --unexpanded        the base as it is, each layer once`;

export const adapterFlags = ['no-adapter', 'unexpanded'];

/** The adapters that a command's options choose; undefined: the model's own. */
export function adaptersAmong(args: Arguments): AdapterChoices | Extract<AdapterSelection, string> | undefined {
  const given = (args.lists['adapter'] ?? []).map(parseChoice);
  const without = adapterFlags.filter((flag) => args.options[flag] !== undefined);
  if (without.length + Math.min(given.length, 1) > 1)
    throw new GlulamError(
      'USAGE',
      `--adapter, --no-adapter and --unexpanded exclude one another; got ${[...given.map((each) => `--adapter ${each.name}`), ...without.map((flag) => `--${flag}`)].join(' ')}`,
    );
  if (without[0] !== undefined) return without[0] === 'no-adapter' ? 'none' : 'base';
  return given.length > 0 ? given : undefined;
}
