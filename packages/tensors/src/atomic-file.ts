import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { TensorsError } from './errors.js';

function temporaryName(target: string): string {
  return path.join(
    path.dirname(target),
    `.${path.basename(target)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  );
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function writeFailed(target: string, cause: unknown): TensorsError {
  const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
  return new TensorsError(
    'WRITE_FAILED',
    full
      ? `the disk is full: ${target} was not written, what was there before is untouched; free some space and try again`
      : `${target} was not written, what was there before is untouched: ${(cause as Error).message}`,
    { cause },
  );
}

/** Write a file under a temporary name, sync it, rename it: under its own name there is always a whole file. */
export async function writeFileAtomic(
  target: string,
  content: string | Uint8Array | ((file: FileHandle) => Promise<void>),
): Promise<void> {
  const temporary = temporaryName(target);
  try {
    await mkdir(path.dirname(target), { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      if (typeof content === 'function') await content(file);
      else await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    await syncFolder(path.dirname(target));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw writeFailed(target, cause);
  }
}

/**
 * Fill a folder under a temporary name, sync its files, rename it. An existing folder of that name is replaced whole, or
 * stays whole if `fill` fails.
 */
export async function writeFolderAtomic(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const temporary = temporaryName(target);
  const aside = `${temporary}.old`;
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    for (const entry of await readdir(temporary, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = await open(path.join(entry.parentPath, entry.name), 'r+');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
    await syncFolder(temporary);
    await rename(target, aside).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(temporary, target);
    await rm(aside, { recursive: true, force: true });
    await syncFolder(path.dirname(target));
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    throw writeFailed(target, cause);
  }
}
