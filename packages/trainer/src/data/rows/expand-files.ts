import { readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { TrainerError } from '../../errors.js';
import { isDataFile } from './read-rows.js';
import { unreadable } from './read-chunks.js';

/**
 * The files that a name of a config stands for, in the order of their names (by code units): one file; of a folder the
 * data files in it, not those in folders below; of a pattern (`*`, `?`, and `**` for any folders) what it fits.
 *
 * @throws TrainerError DATA_UNREADABLE where there are none
 */
export function expandFiles(name: string): string[] {
  const stats = statsOf(name);
  if (stats?.isDirectory() === true) {
    const files = entriesOf(name)
      .filter((file) => isDataFile(file) && isFile(file))
      .sort();
    if (files.length > 0) return files;
    throw new TrainerError(
      'DATA_UNREADABLE',
      `the folder ${name} holds no data file (.jsonl, .json, .csv, .parquet, ...)`,
    );
  }
  // A file may have such a name; one that is not there is told of when it is read.
  if (stats !== undefined || !/[*?]/.test(name)) return [name];
  const parts = path.resolve(name).split(path.sep);
  const fixed = parts.findIndex((part) => /[*?]/.test(part));
  const files = [...new Set(matches(parts.slice(0, fixed).join(path.sep) || path.sep, parts.slice(fixed)))].sort();
  if (files.length > 0) return files;
  throw new TrainerError('DATA_UNREADABLE', `no file fits ${name}`);
}

function matches(folder: string, [part, ...rest]: readonly string[]): string[] {
  const entries = entriesOf(folder);
  if (part === '**') {
    // A link to a folder above would give the files in it again and again.
    const isAbove = (entry: string): boolean =>
      `${realpathSync(folder)}${path.sep}`.startsWith(`${realpathSync(entry)}${path.sep}`);
    const folders = entries.filter((entry) => isFolder(entry) && !isAbove(entry));
    const below = folders.flatMap((entry) => matches(entry, ['**', ...rest]));
    return [...(rest.length === 0 ? entries.filter(isFile) : matches(folder, rest)), ...below];
  }
  const wanted = patternOf(part!);
  const found = entries.filter((entry) => wanted.test(path.basename(entry)));
  return rest.length === 0 ? found.filter(isFile) : found.filter(isFolder).flatMap((entry) => matches(entry, rest));
}

function patternOf(part: string): RegExp {
  const escaped = part
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`, 'su');
}

/** Whole paths; hidden ones are left out, as in a shell. */
function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((entry) => !entry.startsWith('.'))
      .map((entry) => path.join(folder, entry));
  } catch (cause) {
    throw unreadable(folder, cause as Error);
  }
}

/** A link to nothing counts as a file: it is named as data, and reading it says what is wrong. */
const isFile = (name: string): boolean => statsOf(name)?.isFile() ?? true;
const isFolder = (name: string): boolean => statsOf(name)?.isDirectory() === true;

function statsOf(name: string): Stats | undefined {
  try {
    return statSync(name, { throwIfNoEntry: false });
  } catch (cause) {
    throw unreadable(name, cause as Error);
  }
}
