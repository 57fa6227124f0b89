import { existsSync } from 'node:fs';
import path from 'node:path';
import { overridesFrom, type Arguments } from '../cli/arguments.js';
import { GlulamError } from '../errors.js';
import { article } from '../kinds/describe-options.js';
import { onePositional } from '../cli/command.js';

/** What was given to a command that makes a folder and can resume it. */
interface Resumable {
  /** Of the config file. */
  readonly config: string;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly resume: boolean;
}

/**
 * The config of a command that makes a folder and can resume it: named by its file, or with --resume by the folder, which
 * holds it.
 *
 * @param what the folder holds, for messages
 */
export function findResumable(args: Arguments, command: string, what: string): Resumable {
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
  return { config: isFolder ? own : name, overrides, resume };
}
