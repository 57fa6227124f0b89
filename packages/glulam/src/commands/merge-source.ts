import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  adapters,
  families,
  isAdapterFolder,
  openCheckpoint,
  readAdapter,
  unexpandedLayers,
  type MergeSource,
} from '@glulam/model';
import { compose } from '@glulam/plugin';
import { describeModel, openRunTokenizer } from '@glulam/trainer';
import type { Arguments } from '../arguments.js';
import { overridesFrom } from '../arguments.js';
import { GlulamError } from '../errors.js';
import { preset } from '../preset.js';
import { loadRunOrConfig } from './command.js';

/** A model to merge or export, with the chat template that it was trained with where that is not the base's. */
export interface NamedSource {
  readonly source: MergeSource;
  readonly chatTemplate: string | undefined;
  /** The base as it may be written down. */
  readonly base: string;
}

/** A run, one of its checkpoints or an adapter folder; a config file stands for its model before training. */
export async function openMergeSource(
  name: string,
  options: Arguments['options'],
  signal: AbortSignal,
): Promise<NamedSource> {
  const { loaded, adapterFolder } = await loadRunOrConfig(name, overridesFrom(options), signal, { data: false });
  const { config, composition, baseName } = loaded;
  for (const warning of composition.warnings) process.stderr.write(`${warning}\n`);
  const checkpoint = openCheckpoint(config.base, composition.all(families));
  const { shape } = checkpoint;
  const template = config.data.chatTemplate;
  const chatTemplate =
    template === undefined ? undefined : openRunTokenizer(config, shape.vocabularySize).chatTemplate!.source;
  if (adapterFolder === undefined)
    return {
      source: { checkpoint, layers: describeModel(config, composition, shape).layers },
      chatTemplate,
      base: baseName,
    };
  const saved = readAdapter(adapterFolder, composition.all(adapters), shape);
  for (const warning of saved.warnings) process.stderr.write(`${warning}\n`);
  return {
    source: { checkpoint, layers: saved.layers ?? unexpandedLayers(shape.physicalLayers), saved },
    chatTemplate,
    base: baseName,
  };
}

/** Whether a folder is a checkpoint of Hugging Face's, and neither a run nor an adapter. */
export function isCheckpointFolder(folder: string): boolean {
  const config = path.join(folder, 'config.json');
  if (!existsSync(config) || isAdapterFolder(folder)) return false;
  try {
    return (
      typeof (JSON.parse(readFileSync(config, 'utf8')) as { model_type?: unknown } | null)?.model_type === 'string'
    );
  } catch {
    return false; // whoever reads it as a run's config says what is wrong with it
  }
}

export function openCheckpointSource(folder: string): NamedSource {
  const checkpoint = openCheckpoint(folder, compose(preset()).all(families));
  return {
    source: { checkpoint, layers: unexpandedLayers(checkpoint.shape.physicalLayers) },
    chatTemplate: undefined,
    base: folder,
  };
}

/** The value of an option that has to be given, and the config's overrides among the others. */
export function splitOptions(
  command: string,
  { options }: Arguments,
  known: readonly string[],
): { readonly own: Readonly<Record<string, string | undefined>>; readonly overrides: Arguments['options'] } {
  const own: Record<string, string | undefined> = {};
  const overrides: Record<string, string | true> = {};
  for (const [name, value] of Object.entries(options)) {
    if (known.includes(name)) {
      if (value === true) throw new GlulamError('USAGE', `--${name} is without a value; see glulam ${command} --help`);
      own[name] = value;
    } else if (name === 'base' || name.includes('.')) overrides[name] = value;
    else {
      throw new GlulamError(
        'USAGE',
        `glulam ${command} has no option --${name}; it has ${known.map((each) => `--${each}`).join(', ')}`,
      );
    }
  }
  return { own, overrides };
}

/** One of the values that an option takes, or undefined where it is not given. */
export function oneOf<T extends string>(name: string, value: string | undefined, allowed: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((each) => each === value);
  if (found !== undefined) return found;
  throw new GlulamError('USAGE', `--${name} is "${value}"; expected ${allowed.join(', ')}`);
}
