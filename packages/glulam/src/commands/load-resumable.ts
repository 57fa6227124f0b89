import { existsSync } from 'node:fs';
import path from 'node:path';
import { overridesFrom, type Arguments } from '../arguments.js';
import { GlulamError } from '../errors.js';
import { article } from '../kinds/describe-options.js';
import { loadConfig, type LoadedConfig } from '../load-config.js';
import { stderr } from '../output.js';
import { trustOwnRun } from '../trusted-runs.js';
import { onePositional } from './command.js';

/**
 * The config of a command that makes a folder and goes on in it: named by its file, or with --resume by the folder, which
 * holds it. Warnings of its plugins are told.
 *
 * @param what the folder holds, for messages
 */
export async function loadResumable(
  args: Arguments,
  command: string,
  what: string,
): Promise<LoadedConfig & { readonly resume: boolean }> {
  const { resume: flag, ...options } = args.options;
  const resume = flag !== undefined;
  if (flag !== undefined && flag !== true)
    throw new GlulamError('USAGE', `--resume takes no value, got "${flag}"; the folder is named by --out`);
  const name = onePositional(args, command, resume ? `CONFIG or ${what.toUpperCase()}` : 'CONFIG');
  const own = path.join(name, 'config.json');
  const isFolder = existsSync(own);
  if (isFolder && !resume)
    throw new GlulamError('USAGE', `${name} holds ${article(what)}; go on with it by --resume, or name a config file`);
  const overrides = { ...overridesFrom(options), ...(isFolder ? { out: name } : {}) };
  const loaded = await loadConfig(isFolder ? own : name, overrides);
  await trustOwnRun(loaded.config);
  for (const warning of loaded.composition.warnings) stderr.write(`${warning}\n`);
  return { ...loaded, resume };
}
