import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CreateError } from './errors.js';
import { namesOf, type Names } from './names.js';
import { renderFiles } from './render-files.js';
import { roleOf } from './roles.js';

export interface PluginChoices {
  readonly role: string;
  /** `my-kind`, or a whole package name with a scope or `glulam-plugin-` before it. */
  readonly name: string;
  /** Made if it is not there; may hold a repository (`.git`) and nothing else. Default: the package's name. */
  readonly folder?: string | undefined;
}

export interface CreatedPlugin {
  readonly names: Names;
  /** Absolute. */
  readonly folder: string;
  /** Relative to the folder. */
  readonly files: readonly string[];
}

/**
 * Write a plugin's package. Everything is checked and made before the first file is written, and what is written goes
 * again if one of them fails.
 */
export function createPlugin(choices: PluginChoices): CreatedPlugin {
  const role = roleOf(choices.role);
  const names = namesOf(role.name, choices.name);
  const folder = checkFolder(choices.folder ?? defaultFolder(names));
  const files = Object.entries(renderFiles(role, names));
  let made: string | undefined;
  try {
    made = mkdirSync(folder, { recursive: true });
    for (const [file, text] of files) {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      writeFileSync(path.join(folder, file), text, { flag: 'wx' });
    }
  } catch (cause) {
    if (made !== undefined) rmSync(made, { recursive: true });
    else if (existsSync(folder))
      for (const [file] of files) rmSync(path.join(folder, file.split('/')[0]!), { recursive: true, force: true });
    throw new CreateError(
      'WRITE_FAILED',
      `${folder} cannot be written: ${(cause as Error).message}; nothing of it is left: make room, or name another folder`,
      { cause },
    );
  }
  return { names, folder, files: files.map(([file]) => file) };
}

/** Without the scope, in the working folder. */
export const defaultFolder = (names: Names): string => names.package.slice(names.package.indexOf('/') + 1);

/** The folder's absolute path. @throws CreateError FOLDER_NOT_EMPTY */
export function checkFolder(given: string): string {
  const folder = path.resolve(given);
  if (!existsSync(folder)) return folder;
  if (!statSync(folder).isDirectory())
    throw new CreateError('FOLDER_NOT_EMPTY', `${folder} is a file; expected a folder that is empty or not there`);
  const held = readdirSync(folder).filter((name) => name !== '.git');
  if (held.length === 0) return folder;
  const some = held.slice(0, 3).join(', ') + (held.length > 3 ? `, and ${held.length - 3} more` : '');
  throw new CreateError(
    'FOLDER_NOT_EMPTY',
    `${folder} holds ${some}; expected a folder that is empty or not there: empty it, or name another one with --dir`,
  );
}
