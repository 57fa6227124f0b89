import { fstatSync, statSync, type BigIntStats } from 'node:fs';
import { FilesError } from '../errors.js';
import { isMissing } from '../folders/system-error.js';

/** What a file's metadata said when it was opened: enough to notice later that it was changed, replaced or removed. */
export interface FileStamp {
  /** Path of the file. */
  readonly file: string;
  /** Size of the file in bytes. */
  readonly bytes: bigint;
  /** Time of the last modification, in nanoseconds since 1970. */
  readonly modified: bigint;
  /** Number of the file in its file system: a replaced file has another. */
  readonly inode: bigint;
}

/** The stamp of an open file. */
export const stampOf = (file: string, handle: number): FileStamp => stamp(file, fstatSync(handle, { bigint: true }));

/** The stamp of a file by its name; undefined where there is none. */
export function findStamp(file: string): FileStamp | undefined {
  try {
    return stamp(file, statSync(file, { bigint: true }));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const stamp = (file: string, { size, mtimeNs, ino }: BigIntStats): FileStamp => ({
  file,
  bytes: size,
  modified: mtimeNs,
  inode: ino,
});

/**
 * Compare files with what they were when they were opened. A change that leaves size, modification time and inode as they
 * were is not noticed.
 *
 * @throws FilesError FILE_CHANGED with the first file that differs
 */
export function checkStamps(stamps: readonly FileStamp[]): void {
  for (const before of stamps) {
    const difference = differenceFrom(before);
    if (difference === undefined) continue;
    throw new FilesError('FILE_CHANGED', `${before.file} changed while it was in use: ${difference}. ${afterAChange}`);
  }
}

/** What to do about a FILE_CHANGED, for its message. */
export const afterAChange =
  'Nothing computed since then was kept. Restore the file as it was when it was opened, and repeat the command; ' +
  'a training run resumes with --resume';

function differenceFrom(before: FileStamp): string | undefined {
  let now: FileStamp;
  try {
    now = stamp(before.file, statSync(before.file, { bigint: true }));
  } catch (error) {
    return `it can no longer be found (${(error as Error).message})`;
  }
  if (now.bytes !== before.bytes) return `it has ${now.bytes} bytes, expected the ${before.bytes} that it had`;
  if (now.inode !== before.inode) return `another file has its name (inode ${now.inode}, expected ${before.inode})`;
  if (now.modified !== before.modified)
    return `it was modified at ${timeOf(now)}, expected ${timeOf(before)} as the last modification`;
  return undefined;
}

const timeOf = ({ modified }: FileStamp): string => new Date(Number(modified / 1_000_000n)).toISOString();

/**
 * What comes of `work`, if the files are afterwards as they were when they were opened. Otherwise FILE_CHANGED, whether
 * `work` failed or not: what it computed, and the reason why it failed, may come from the change.
 */
export async function whileUnchanged<T>(files: { checkUnchanged(): void }, work: () => T | Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    const isKnown = error instanceof FilesError && error.code === 'FILE_CHANGED';
    if (!isKnown) files.checkUnchanged();
    throw error;
  }
  files.checkUnchanged();
  return result;
}
