import type { AdapterSelection, Decoder } from '@glulam/model';
import { openAdapters, type InputOptions, type OpenAdapters } from '@glulam/trainer';
import type { Arguments } from '../arguments.js';
import { GlulamError } from '../errors.js';
import type { LoadedConfig } from '../load-config.js';
import { namedAdapter, parseChoice } from './adapter-choice.js';
import { onePositional } from './command.js';
import { loadModel } from './load-model.js';

/** The options of `openChosen`, for commands' help. */
export const adapterHelp = `  --adapter FOLDER[=WEIGHT]
                      a run's or adapter's folder in place of RUN's own; given more than once, their weighted sum
  --no-adapter        the expanded layers alone, without any adapter
  --unexpanded        the base as it is, each layer once`;

export const adapterFlags = ['no-adapter', 'unexpanded'];

/** What a command's words name: a model with adapters to choose from, and those chosen. */
export interface ChosenModel extends OpenAdapters, LoadedConfig {
  readonly selection: AdapterSelection;
  /** The folder of the run that was named, or whose checkpoint was. */
  readonly run: string | undefined;
  /** The set's, for the selection. */
  readonly decoder: Decoder;
}

/**
 * A run, one of its checkpoints, an adapter folder, a config file or a base checkpoint, with the adapters that the options
 * choose. `overrides`: the config's among the options.
 */
export async function openChosen(
  command: string,
  args: Arguments,
  overrides: Arguments['options'],
  signal: AbortSignal,
  wanted: InputOptions = {},
): Promise<ChosenModel> {
  const name = onePositional(args, command, 'RUN, CONFIG or BASE');
  const { loaded, adapterFolder, isBase, note, run } = await loadModel(name, overrides, signal, wanted);
  const own = adapterFolder === undefined ? undefined : { name, folder: adapterFolder };
  const { config, composition } = loaded;
  for (const warning of composition.warnings) process.stderr.write(`${warning}\n`);

  const given = (args.lists['adapter'] ?? []).map(parseChoice);
  const without = adapterFlags.filter((flag) => args.options[flag] !== undefined);
  if (without.length + Math.min(given.length, 1) > 1)
    throw new GlulamError(
      'USAGE',
      `--adapter, --no-adapter and --unexpanded exclude one another; got ${[...given.map((each) => `--adapter ${each.name}`), ...without.map((flag) => `--${flag}`)].join(' ')}`,
    );
  const others = given.filter((each) => each.name !== own?.name).map((each) => namedAdapter(each.name));
  const plain = own === undefined && given.length === 0 && without.length === 0;
  const untrained = plain && !(isBase && config.expansion === undefined) ? 'untrained' : undefined;
  const selection = ((): AdapterSelection => {
    if (without[0] !== undefined) return without[0] === 'no-adapter' ? 'none' : 'base';
    if (given.length > 0) return given;
    const only = own?.name ?? untrained;
    return only === undefined ? 'none' : [{ name: only, weight: 1 }];
  })();

  const named = typeof selection === 'string' ? [] : selection.map((each) => each.name);
  const notes = [named.includes(name) ? note : undefined, ...others.map((each) => each.note)];
  for (const line of notes) if (line !== undefined) process.stderr.write(`${line}\n`);
  const opened = await openAdapters(config, composition, { own, others, untrained });
  for (const warning of opened.warnings) process.stderr.write(`${warning}\n`);
  try {
    return { ...opened, ...loaded, run, selection, decoder: opened.set.decoder(selection) };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
