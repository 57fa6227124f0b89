import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isRunning } from '@glulam/tensors';
import { ModelError } from '../errors.js';

const prefix = 'lock.';

/**
 * Take a folder for this process. Locks are numbered: who finds the last one without an owner makes the next, which only
 * one can, so nobody ever removes a lock that another has just taken. A process that was killed owns nothing.
 *
 * @throws ModelError OUTPUT_UNUSABLE where another process has it
 */
export async function lockFolder(folder: string): Promise<{ release(): Promise<void> }> {
  for (;;) {
    const last = (await numbersIn(folder)).at(-1) ?? 0;
    const owner = last === 0 ? 0 : await ownerOf(lockAt(folder, last));
    if (owner > 0 && isRunning(owner))
      throw new ModelError(
        'OUTPUT_UNUSABLE',
        `process ${owner} is writing ${folder} at this moment; wait for it, or name another place (if it is no merge of Glulam's, remove that folder)`,
      );
    const mine = lockAt(folder, last + 1);
    try {
      await writeFile(mine, String(process.pid), { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      continue;
    }
    const all = await numbersIn(folder);
    // Whoever waited too long for this process to write its number has made a lock of their own.
    if (all.at(-1) !== last + 1) continue;
    for (const number of all.slice(0, -1)) await rm(lockAt(folder, number), { force: true });
    return { release: () => writeFile(mine, '0') };
  }
}

const lockAt = (folder: string, number: number): string => path.join(folder, `${prefix}${number}`);

async function numbersIn(folder: string): Promise<number[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(prefix));
  return names.map((name) => Number(name.slice(prefix.length))).sort((a, b) => a - b);
}

/** 0: nobody. A lock is empty for the moment between being made and being written, or for ever after a kill then. */
async function ownerOf(lock: string): Promise<number> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      const text = await readFile(lock, 'utf8');
      if (text !== '') return Number(text);
    } catch (error) {
      // A later lock took its place.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw error;
    }
    await setTimeout(50);
  }
  return 0;
}
