import { existsSync } from 'node:fs';
import path from 'node:path';
import { describeWriteFault, makeFolder, readTextFile, removeLeftovers, writeFileAtomic } from '@glulam/files';
import { configDifference, inTodaysWords, type RunConfig } from '@glulam/trainer';
import { AblationError } from './errors.js';
import type { VariantSettings } from './settings.js';

/** An ablation's config with everything filled in: a config file that repeats it. */
export interface WholeConfig extends RunConfig {
  readonly ablation: { readonly variants: readonly Required<VariantSettings>[]; readonly seeds: readonly number[] };
}

const configOf = (folder: string): string => path.join(folder, 'config.json');

/** Where the run of a variant with a seed is. */
export const runFolder = (folder: string, variant: string, seed: number): string =>
  path.join(folder, 'runs', variant, `seed-${seed}`);

/**
 * Refuse a folder that holds something already, before anything is fetched or opened.
 *
 * @throws AblationError FOLDER_UNUSABLE
 */
export function checkAblationFolder(folder: string, resume: boolean): void {
  if (existsSync(path.join(folder, 'events.jsonl'))) {
    throw new AblationError(
      'FOLDER_UNUSABLE',
      `${folder} holds a run; expected a folder for an ablation: choose another one with --out`,
    );
  }
  if (existsSync(configOf(folder)) && !resume) {
    throw new AblationError(
      'FOLDER_UNUSABLE',
      `${folder} holds an ablation already; go on with it by --resume, choose another folder with --out, or remove it`,
    );
  }
}

/**
 * Make the folder with the config that repeats the ablation; to go on, the config must be the one it was begun with.
 *
 * @throws AblationError FOLDER_UNUSABLE, CONFIG_CHANGED
 */
export async function openAblationFolder(config: WholeConfig): Promise<void> {
  const folder = config.out;
  const file = configOf(folder);
  if (existsSync(file)) {
    const difference = configDifference(byName(readConfig(file)), byName(config));
    if (difference.length === 0) return;
    throw new AblationError(
      'CONFIG_CHANGED',
      `${folder} was begun with another config and cannot go on with this one:\n  ${difference.join('\n  ')}\n` +
        'Take these changes back, resume the folder itself (glulam ablate FOLDER --resume), or begin a new ablation with --out.',
    );
  }
  await openFolder(folder);
  await writeFileAtomic(file, `${JSON.stringify(config, null, 2)}\n`);
}

/**
 * Make the folder of an ablation or search, or take what killed processes left out of it.
 *
 * @throws AblationError FOLDER_UNUSABLE
 */
export async function openFolder(folder: string): Promise<void> {
  try {
    makeFolder(folder);
    await removeLeftovers(folder);
  } catch (cause) {
    throw new AblationError('FOLDER_UNUSABLE', `${folder} cannot be used: ${describeWriteFault(cause)}`, { cause });
  }
}

function readConfig(file: string): WholeConfig {
  try {
    return JSON.parse(readTextFile(file)) as WholeConfig;
  } catch (cause) {
    throw new AblationError(
      'FOLDER_UNUSABLE',
      `${file} cannot be read (${(cause as Error).message}); the ablation cannot go on: remove its folder to begin again`,
      { cause },
    );
  }
}

/** Variants by name, so that a difference names the variant; and as it would be read back: without undefined keys. */
function byName({ ablation, ...rest }: WholeConfig): unknown {
  const variants = Object.fromEntries((ablation?.variants ?? []).map(({ name, ...each }) => [name, each]));
  return JSON.parse(JSON.stringify({ ...(inTodaysWords(rest) as object), ablation: { ...ablation, variants } }));
}
