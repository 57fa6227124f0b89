import { randomBytes } from 'node:crypto';
import { lstat, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { FilesError } from '../errors.js';
import { makeFolder } from './make-folder.js';
import { describeWriteFault } from './system-error.js';

/**
 * Write a file under a temporary name beside it (`.NAME.PID-RANDOM.tmp`), sync it, rename it: under its own name there
 * is always a whole file, the old one or the new one, however the process ends. Missing parent folders are made.
 *
 * On any error the temporary file is removed and WRITE_FAILED thrown with the cause; `bytes`, the size that the file
 * will have, is for its message on a full disk.
 */
export async function writeFileAtomic(
  target: string,
  content: string | Uint8Array | ((file: FileHandle) => Promise<void>),
  options: { readonly bytes?: number; readonly sync?: boolean } = {},
): Promise<void> {
  const bytes = typeof content === 'function' ? options.bytes : Buffer.byteLength(content);
  const temporary = temporaryName(target);
  try {
    makeFolder(path.dirname(target));
    const file = await open(temporary, 'wx');
    try {
      if (typeof content === 'function') await content(file);
      else await file.writeFile(content);
      if (options.sync ?? true) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    if (options.sync ?? true) await syncFolder(path.dirname(target));
  } catch (cause) {
    throw writeFailed(target, cause, await remove(temporary), bytes);
  }
}

/**
 * Fill a folder under a temporary name beside it, sync all that is in it, rename it: a folder under its own name is
 * always whole. An existing one is replaced whole, or left whole if anything fails; with `replace: false` it is an error,
 * told before `fill` is called.
 *
 * No system call that Node has swaps two folders, so replacing is two renames. A process killed between them leaves
 * nothing under the name, the old folder whole as `.NAME.PID-RANDOM.tmp.old`, the new one whole as `.NAME.PID-RANDOM.tmp`.
 * Where that is not good enough, give every version a name of its own.
 *
 * On any error the temporary folder is removed and WRITE_FAILED thrown with the cause.
 */
export async function writeFolderAtomic(
  target: string,
  fill: (folder: string) => Promise<void>,
  options: { readonly replace?: boolean } = {},
): Promise<void> {
  const temporary = temporaryName(target);
  const aside = `${temporary}.old`;
  try {
    await checkReplaceable(target, options.replace ?? true);
    makeFolder(temporary);
    await fill(temporary);
    await syncAll(temporary);
    const replaced = await checkReplaceable(target, options.replace ?? true);
    if (replaced) await rename(target, aside);
    try {
      await rename(temporary, target);
    } catch (cause) {
      if (replaced) await rename(aside, target);
      throw cause;
    }
    await syncFolder(path.dirname(target));
  } catch (cause) {
    throw writeFailed(target, cause, await remove(temporary));
  }
  // The new folder stands: what goes wrong from here is not a failure to write it.
  try {
    await rm(aside, { recursive: true, force: true });
  } catch (cause) {
    throw new FilesError(
      'WRITE_FAILED',
      `${target} was written, but the folder that was there before could not be removed: ${(cause as Error).message}; remove ${aside}`,
      { cause },
    );
  }
}

/**
 * Sync all that is in a folder that was filled elsewhere on the same disk, and rename it to `target`, where nothing may be:
 * what stands under that name is whole. For folders whose filling goes on after a kill; otherwise `writeFolderAtomic`.
 *
 * On any error the folder stays as it is and WRITE_FAILED is thrown with the cause.
 */
export async function publishFolder(folder: string, target: string): Promise<void> {
  try {
    await syncAll(folder);
    await checkReplaceable(target, false);
    await rename(folder, target);
    await syncFolder(path.dirname(target));
  } catch (cause) {
    throw writeFailed(target, cause, '');
  }
}

/**
 * Remove what killed processes left of files and folders that were being written in `folder`: temporary names whose
 * process is gone. Old versions set aside by `writeFolderAtomic` stay where nothing stands under their name.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    const match = /^\.(.+)\.(\d+)-[0-9a-f]{8}\.tmp(\.old)?$/.exec(entry);
    if (match === null || isRunning(Number(match[2]))) continue;
    if (match[3] !== undefined && (await lstat(path.join(folder, match[1]!)).catch(ignoreMissing)) === undefined)
      continue;
    await rm(path.join(folder, entry), { recursive: true, force: true });
  }
}

/** Whether a process of this machine is there; another may have got the number of one that is gone. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Someone else's process is a process too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether there is a folder to replace; throws where something is in the way. */
async function checkReplaceable(target: string, replace: boolean): Promise<boolean> {
  if ((await lstat(target).catch(ignoreMissing)) === undefined) return false;
  if (!replace) throw new Error('it exists already; choose another name, or remove it first');
  if (!(await stat(target)).isDirectory())
    throw new Error('there is a file of that name; expected a folder or nothing');
  return true;
}

export function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

function temporaryName(target: string): string {
  return path.join(
    path.dirname(target),
    `.${path.basename(target)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  );
}

async function syncAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const place = path.join(folder, entry.name);
    if (entry.isDirectory()) await syncAll(place);
    // Windows syncs only what is open for writing; elsewhere a copy of a read-only file must not stand in the way.
    else if (entry.isFile()) await sync(place, process.platform === 'win32' ? 'r+' : 'r');
  }
  await syncFolder(folder);
}

/** So that the names in a folder outlive a power cut; Windows cannot open folders and does this by itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform !== 'win32') await sync(folder, 'r');
}

async function sync(place: string, flags: string): Promise<void> {
  const handle = await open(place, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Returns what to add to the message where even that fails; the first error stays the one that is told. */
async function remove(temporary: string): Promise<string> {
  try {
    await rm(temporary, { recursive: true, force: true });
    return '';
  } catch (error) {
    // A file where a parent folder should be: there is nothing to remove.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return '';
    return `; ${temporary} is left over, remove it (${(error as Error).message})`;
  }
}

function writeFailed(target: string, cause: unknown, leftOver: string, bytes?: number): FilesError {
  const root = rootOf(cause);
  const code = (root as NodeJS.ErrnoException | undefined)?.code;
  const untouched = `${target} was not written, what was there before is untouched`;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') {
    return new FilesError('WRITE_FAILED', `${untouched}: ${describeWriteFault(root)}${leftOver}`, { cause });
  }
  const needed = bytes === undefined ? 'it' : `its ${bytes} bytes`;
  const remedy = `make room for ${needed} and try again`;
  return new FilesError('WRITE_FAILED', `the disk is full: ${untouched}; ${remedy}${leftOver}`, { cause });
}

/** What failed in the first place: a file that failed within a folder says so under a name that is gone. */
function rootOf(error: unknown): unknown {
  const nested = error instanceof FilesError && error.code === 'WRITE_FAILED' && error.cause !== undefined;
  return nested ? rootOf(error.cause) : error;
}
