import { existsSync, readFileSync, statSync } from 'node:fs';
import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { ignoreMissing, isRunning } from './atomic-file.js';
import { readTextFile } from '../reading/regular-file.js';

const prefix = 'lock.';
/** Others may have files whose names begin like this. */
const form = /^lock\.([1-9]\d*)$/;

/** A folder that belongs to this process until it is released. */
export interface FolderLock {
  /** Give the folder up. The lock file stays and says that nobody holds it. */
  release(): Promise<void>;
}

/** Who holds a lock. A process number alone is not enough: it is used again, and in containers it is often 1. */
const ownerSchema = z.object({
  pid: z.int(),
  host: z.string(),
  started: z.string().optional(),
  /** Where the owner listens to other processes. */
  address: z.string().optional(),
});
type Owner = z.infer<typeof ownerSchema>;

/** The owner renews its lock this often; on another machine, one that is older than `staleAfter` has no owner. */
const renewedEvery = 60_000;
const staleAfter = 10 * renewedEvery;

/**
 * Take a folder for this process. Locks are numbered: whoever finds the last one without an owner makes the next, which
 * only one process can, so nobody ever removes a lock that another has just taken. A process that was killed owns nothing.
 *
 * Throws a plain Error where something else has the name of a lock.
 *
 * @param busy the error to throw where another process has the folder; `owner` says which
 * @param address where this process listens to others, for `addressOfOwner`
 */
export async function lockFolder(
  folder: string,
  busy: (owner: string) => Error,
  address?: string,
): Promise<FolderLock> {
  for (;;) {
    const last = (await numbersIn(folder)).at(-1) ?? 0;
    // A larger number has no successor.
    if (!Number.isSafeInteger(last + 1)) throw foreign(lockAt(folder, last));
    const owner = last === 0 ? undefined : await ownerOf(lockAt(folder, last));
    if (owner !== undefined && isAlive(owner, lockAt(folder, last))) throw busy(describe(owner));
    const mine = lockAt(folder, last + 1);
    const me: Owner = {
      pid: process.pid,
      host: hostname(),
      started: startOf(process.pid),
      ...(address !== undefined && { address }),
    };
    try {
      await writeFile(mine, JSON.stringify(me), { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      continue;
    }
    const all = await numbersIn(folder);
    // Whoever waited too long for this process to write its name has made a lock of their own.
    if (all.at(-1) !== last + 1) continue;
    for (const number of all.slice(0, -1)) await removeLock(lockAt(folder, number));
    // The folder may be removed while its owner works; that is for the owner to notice.
    const renewing = setInterval(
      () => void utimes(mine, new Date(), new Date()).catch(ignoreMissing),
      renewedEvery,
    ).unref();
    return {
      async release() {
        clearInterval(renewing);
        await writeFile(mine, released).catch(ignoreMissing);
      },
    };
  }
}

/** Who has a folder now; undefined: nobody, or the folder is not there. Nothing is written. */
export async function folderOwner(folder: string): Promise<string | undefined> {
  const owner = await liveOwner(folder);
  return owner && describe(owner);
}

/** Who has a folder now and where they listen, where they do and it is on this machine; undefined: nobody has it. */
export async function addressOfOwner(
  folder: string,
): Promise<{ readonly owner: string; readonly address: string | undefined } | undefined> {
  const owner = await liveOwner(folder);
  if (owner === undefined) return undefined;
  return { owner: describe(owner), address: owner.host === hostname() ? owner.address : undefined };
}

async function liveOwner(folder: string): Promise<Owner | undefined> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return undefined;
  const last = (await numbersIn(folder)).at(-1);
  const owner = last === undefined ? undefined : await ownerOf(lockAt(folder, last));
  return owner !== undefined && isAlive(owner, lockAt(folder, last!)) ? owner : undefined;
}

/** What a lock says that nobody holds any more. */
const released = 'null';
/** A file of such a name that is longer is no lock. */
const mostBytes = 1000;

const lockAt = (folder: string, number: number): string => path.join(folder, `${prefix}${number}`);

const describe = ({ pid, host }: Owner): string =>
  host === hostname() ? `process ${pid}` : `process ${pid} on ${host}`;

async function numbersIn(folder: string): Promise<number[]> {
  const numbers = (await readdir(folder)).flatMap((name) => form.exec(name)?.[1] ?? []);
  return numbers.map(Number).sort((a, b) => a - b);
}

/** undefined: nobody. A lock is empty for the moment between being made and being written, or for ever after a kill then. */
async function ownerOf(lock: string): Promise<Owner | undefined> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      const text = readTextFile(lock, mostBytes);
      if (!isLock(text)) throw foreign(lock);
      if (text !== '') return parseOwner(text);
    } catch (error) {
      // A later lock took its place.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    await setTimeout(50);
  }
  return undefined;
}

const opening = '{"pid":';
/** What this wrote, whole or cut short: nothing else is removed. */
const isLock = (text: string): boolean => text === released || text.startsWith(opening) || opening.startsWith(text);

const foreign = (lock: string): Error =>
  new Error(`${lock} is in the way: it is no lock of Glulam's; move it elsewhere`);

async function removeLock(lock: string): Promise<void> {
  try {
    if (!isLock(readTextFile(lock, mostBytes))) return;
  } catch {
    return; // gone, or something else of that name
  }
  await rm(lock, { force: true });
}

function parseOwner(text: string): Owner | undefined {
  try {
    return ownerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // cut short by a kill: nobody came to own it
  }
}

function isAlive({ pid, host, started }: Owner, lock: string): boolean {
  if (host !== hostname()) return Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0) < staleAfter;
  return isRunning(pid) && (started === undefined || started === startOf(pid));
}

/** When a process of this machine began, in the kernel's own terms; undefined where there is no /proc. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, which may hold anything; the 22nd is the start.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
