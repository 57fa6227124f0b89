import { existsSync } from 'node:fs';
import path from 'node:path';
import { baseOfAdapter } from '@glulam/export';
import { hasCheckpointFiles, isAdapterFolder, readTextFile } from '@glulam/files';
import { compose } from '@glulam/plugin';
import type { InputOptions } from '@glulam/trainer';
import { bringInputs, bringModel, type BroughtConfig, type BroughtModel } from '../runs/bring-inputs.js';
import type { Call } from '../call.js';
import type { GlulamConfig } from '../config/define-config.js';
import { GlulamError } from '../errors.js';
import { isBaseFolder, loadConfig, type LoadedConfig } from '../config/load-config.js';
import { preset } from '../config/preset.js';
import { findStep, noteHeldStep, parseRunName } from '../runs/run-name.js';

/** What a command's word names, its config's files on this machine. */
export interface NamedModel {
  readonly loaded: BroughtConfig;
  /** The adapter of a run, of one of its checkpoints, or the adapter itself. */
  readonly adapterFolder: string | undefined;
  /** A base checkpoint was named, and nothing else. */
  readonly isBase: boolean;
  /** For people: which step of a run the adapter is of. */
  readonly note: string | undefined;
  /** The folder of the run that was named, or whose checkpoint was. */
  readonly run: string | undefined;
}

interface FoundModel {
  readonly loaded: LoadedConfig;
  readonly adapterFolder?: string;
  readonly isBase?: boolean;
  readonly note?: string | undefined;
  readonly run?: string;
  /** Of a base of the Hub, whose folder is one of the cache: the name that may be written down. */
  readonly baseName?: string;
}

/**
 * A run folder stands for its config and its adapter, one of its steps (`RUN@best`, `RUN@last`, `RUN@step-50`) or
 * checkpoints for the config and the adapter of that,
 * an adapter folder, here or on the Hub, for its base and itself, a checkpoint, here or on the Hub, for itself. What the
 * config names is on this machine afterwards.
 */
export async function loadModel(
  name: string,
  overrides: Readonly<Record<string, unknown>>,
  call: Call,
  wanted: InputOptions = {},
): Promise<NamedModel> {
  const found = await findModel(name, overrides, call, wanted);
  const { loaded, adapterFolder, isBase = false, note, run, baseName } = found;
  call.attach(loaded.composition);
  const brought = await bringInputs(loaded, call, wanted);
  return {
    loaded: baseName === undefined ? brought : { ...brought, baseName },
    adapterFolder,
    isBase,
    note,
    run,
  };
}

async function findModel(
  name: string,
  overrides: Readonly<Record<string, unknown>>,
  call: Call,
  wanted: InputOptions,
): Promise<FoundModel> {
  // Nothing is trained from a base or an adapter alone: the data that a config wants is not looked at.
  const alone = (base: string): Promise<LoadedConfig> => {
    const fields: GlulamConfig = { base, data: { train: 'none' } };
    return loadConfig(fields, overrides);
  };
  const step = parseRunName(name);
  if (step !== undefined) {
    const { run } = step;
    return { loaded: await loadConfig(path.join(run, 'config.json'), overrides), run, ...findStep(step, name) };
  }
  if (isCheckpointFolder(name)) return { loaded: await alone(name), isBase: true };
  const adapter = path.join(name, 'adapter');
  const run = existsSync(path.join(name, 'state.json')) ? path.join(name, '../..') : name;
  const config = path.join(run, 'config.json');
  if (existsSync(config) && isAdapterFolder(adapter))
    return {
      loaded: await loadConfig(config, overrides),
      adapterFolder: adapter,
      run,
      note: run === name ? noteHeldStep(name) : undefined,
    };
  const here = [name, adapter].find(isAdapterFolder);
  const brought = here === undefined ? await fromElsewhere(name, call, wanted) : undefined;
  if (brought?.isBase === true) return { loaded: await alone(brought.folder), isBase: true, baseName: brought.pinned };
  const adapterFolder = here ?? brought?.folder;
  if (adapterFolder !== undefined) {
    // As in transformers, an adapter beside the weights of a model belongs to these, whatever base it names.
    const besideBase = hasCheckpointFiles(adapterFolder) && existsSync(path.join(adapterFolder, 'config.json'));
    const base = overrides['base'] ?? (besideBase ? adapterFolder : baseOfAdapter(adapterFolder));
    if (typeof base !== 'string')
      throw new GlulamError('USAGE', `${adapterFolder} does not name its base checkpoint; name it: --base FOLDER`);
    return { loaded: await alone(base), adapterFolder };
  }
  if (existsSync(config) && existsSync(path.join(run, 'events.jsonl'))) {
    throw new GlulamError(
      'RUN_NOT_FOUND',
      `${name} is a run that has not ended, so it has no adapter yet; go on with it: glulam train ${name} --resume, or name one of its checkpoints: ${name}@last, ${name}@best or ${name}@step-N`,
    );
  }
  if (existsSync(name) && path.extname(name) !== '') return { loaded: await loadConfig(name, overrides) };
  throw new GlulamError(
    'RUN_NOT_FOUND',
    `${name} is neither a run folder (with config.json and adapter/), nor an adapter folder, nor a checkpoint, nor a config file; train one: glulam train CONFIG. A base or an adapter of the Hub is named owner/name or hf://owner/name`,
  );
}

/** A model of the Hub. What has the folder that it would lie in is a name of this machine, mistyped: nobody is asked. */
async function fromElsewhere(name: string, call: Call, wanted: InputOptions): Promise<BroughtModel | undefined> {
  if (existsSync(name) || (!name.startsWith('hf://') && existsSync(path.dirname(name)))) return undefined;
  return bringModel(name, compose(preset()), call, wanted);
}

/** Whether a folder is a checkpoint of Hugging Face's, whole or damaged, and neither a run nor an adapter. */
export function isCheckpointFolder(folder: string): boolean {
  const config = path.join(folder, 'config.json');
  if (isAdapterFolder(folder)) return false;
  if (!existsSync(config)) return hasCheckpointFiles(folder);
  let fields: { model_type?: unknown; base?: unknown } | null;
  try {
    fields = JSON.parse(readTextFile(config)) as typeof fields;
  } catch {
    return isBaseFolder(folder); // openCheckpoint says what is wrong with its config.json
  }
  return typeof fields?.model_type === 'string' || (fields?.base === undefined && isBaseFolder(folder));
}
