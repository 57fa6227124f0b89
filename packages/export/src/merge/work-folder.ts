import { existsSync } from 'node:fs';
import { readdir, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import {
  describeWriteFault,
  isSystemError,
  lockFolder,
  makeFolder,
  publishFolder,
  readTextFile,
  writeFileAtomic,
  type FolderLock,
} from '@glulam/files';
import { z } from 'zod';
import { ExportError } from '../errors.js';

/** A folder that is being filled beside the place where it will stand, and that outlives the process. */
export interface WorkFolder {
  /** What will be the finished folder. */
  readonly content: string;
  /** Files that an earlier process finished, with the checksum that it noted of each. */
  readonly finished: ReadonlyMap<string, string>;
  /** Note a file as finished. */
  finish(file: string, checksum: string): Promise<void>;
  /** Put the content under its final name, whole, and remove the rest. */
  publish(): Promise<void>;
  /** Let others go on from here. */
  release(): Promise<void>;
  /** Give up what is here. */
  remove(): Promise<void>;
}

const progressSchema = z.object({ fingerprint: z.string(), finished: z.record(z.string(), z.string()) });

/**
 * Begin or go on with `.NAME.merging` beside `target`. `fingerprint` says all that the content follows from: what is there
 * of another one is removed, what is of the same one and noted as finished stays.
 *
 * @throws ExportError OUTPUT_UNUSABLE where something is in the way, or another process is at it
 */
export async function openWorkFolder(target: string, fingerprint: string): Promise<WorkFolder> {
  checkFree(target);
  const folder = path.join(path.dirname(target), `.${path.basename(target)}.merging`);
  const [content, progress] = ['content', 'progress.json'].map((name) => path.join(folder, name)) as [string, string];
  const busy = (owner: string): ExportError =>
    new ExportError(
      'OUTPUT_UNUSABLE',
      `${owner} is writing ${folder} at this moment; wait for it, or name another place (if it is no merge of Glulam's, remove that folder)`,
    );
  let lock: FolderLock;
  try {
    makeFolder(content);
    lock = await lockFolder(folder, busy);
  } catch (cause) {
    throw isSystemError(cause)
      ? new ExportError('OUTPUT_UNUSABLE', `${target} cannot be written: ${describeWriteFault(cause)}`, { cause })
      : cause;
  }
  const noted = readProgress(progress);
  // A merge notes its progress before it writes anything.
  if (noted === undefined && (await readdir(content)).length > 0) {
    await lock.release();
    throw new ExportError(
      'OUTPUT_UNUSABLE',
      `${folder} holds files, and no progress.json of a merge that wrote them; move it elsewhere, or name another place with --out`,
    );
  }
  const finished = new Map(noted?.fingerprint === fingerprint ? Object.entries(noted.finished) : []);
  for (const name of await readdir(content))
    if (!finished.has(name)) await rm(path.join(content, name), { recursive: true, force: true });
  for (const name of finished.keys()) if (!existsSync(path.join(content, name))) finished.delete(name);
  const note = (): Promise<void> =>
    writeFileAtomic(progress, JSON.stringify({ fingerprint, finished: Object.fromEntries(finished) }));
  await note();
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return {
    content,
    finished,
    async finish(file, checksum) {
      finished.set(file, checksum);
      await note();
    },
    async publish() {
      await publishFolder(content, target);
      await remove();
    },
    release: lock.release,
    remove,
  };
}

/** Throws OUTPUT_UNUSABLE where there is something of that name already. */
export function checkFree(target: string): void {
  if (!existsSync(target)) return;
  throw new ExportError('OUTPUT_UNUSABLE', `${target} exists already; name another place, or remove it first`);
}

/**
 * Throws OUTPUT_UNUSABLE where the disk has no room for `bytes` more in `folder`, which may be yet to be made.
 */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  let place = folder;
  while (!existsSync(place)) place = path.dirname(place);
  const { blocks, bavail, bsize } = await statfs(place);
  const room = bavail * bsize;
  // What is no disk (/proc) has no blocks; writing says what is wrong.
  if (bytes <= room || blocks === 0) return;
  const gigabytes = (count: number): string => `${(count / 1e9).toFixed(2)} GB`;
  throw new ExportError(
    'OUTPUT_UNUSABLE',
    `the disk of ${place} has room for ${gigabytes(room)}, ${gigabytes(bytes)} are to be written; make room, or name a place on another disk`,
  );
}

/** undefined where nothing is noted, or a note that no one can read: both mean to begin anew. */
function readProgress(file: string): z.infer<typeof progressSchema> | undefined {
  if (!existsSync(file)) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(readTextFile(file));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return progressSchema.safeParse(json).data;
}
