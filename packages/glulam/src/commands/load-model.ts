import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isAdapterFolder } from '@glulam/model';
import { hasCheckpointFiles } from '@glulam/tensors';
import type { InputOptions } from '@glulam/trainer';
import { overridesFrom, type Arguments } from '../arguments.js';
import { bringInputs, type BroughtConfig } from '../bring-inputs.js';
import { isBaseFolder, loadConfig } from '../load-config.js';
import { loadRunOrConfig } from './command.js';

/** What a command's word names, its config's files on this machine. */
export interface NamedModel {
  readonly loaded: BroughtConfig;
  /** The adapter of a run, of one of its checkpoints, or the adapter itself. */
  readonly adapterFolder: string | undefined;
  /** A base checkpoint was named, and nothing else. */
  readonly isBase: boolean;
}

/** A run, one of its checkpoints, an adapter folder, a config file or a base checkpoint. */
export async function loadModel(
  name: string,
  options: Arguments['options'],
  signal: AbortSignal,
  wanted: InputOptions,
): Promise<NamedModel> {
  const overrides = overridesFrom(options);
  if (!isCheckpointFolder(name)) return { ...(await loadRunOrConfig(name, overrides, signal, wanted)), isBase: false };
  // Nothing is trained from here: the data that the config wants is not looked at.
  const loaded = await loadConfig({ base: name, data: { train: 'none' } }, overrides);
  return { loaded: await bringInputs(loaded, signal, wanted), adapterFolder: undefined, isBase: true };
}

/** Whether a folder is a checkpoint of Hugging Face's, whole or damaged, and neither a run nor an adapter. */
export function isCheckpointFolder(folder: string): boolean {
  const config = path.join(folder, 'config.json');
  if (isAdapterFolder(folder)) return false;
  if (!existsSync(config)) return hasCheckpointFiles(folder);
  let fields: { model_type?: unknown; base?: unknown } | null;
  try {
    fields = JSON.parse(readFileSync(config, 'utf8')) as typeof fields;
  } catch {
    return isBaseFolder(folder); // openCheckpoint says what is wrong with its config.json
  }
  return typeof fields?.model_type === 'string' || (fields?.base === undefined && isBaseFolder(folder));
}
