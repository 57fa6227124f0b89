import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';

/** The most that a config, a template or the like may have: several times the largest ones in use. */
const mostBytes = 10_000_000;

/**
 * Open a file to read. Opening a pipe waits for a writer and reading a device may never end, so neither is opened. The
 * caller closes the handle.
 *
 * Throws a plain Error where it is not a regular file, and the system's error where it cannot be opened.
 */
export function openRegularFile(file: string): number {
  checkRegular(statSync(file));
  // Whatever took the file's place since then is not waited for either. Windows has no such flag, and no such pipes.
  const handle = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    checkRegular(fstatSync(handle));
    return handle;
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

/**
 * The bytes of a regular file that is to be held in memory.
 *
 * Throws as `openRegularFile`, and a plain Error where it is larger than `atMost`.
 */
export function readRegularFile(file: string, atMost: number = mostBytes): Buffer<ArrayBuffer> {
  const handle = openRegularFile(file);
  try {
    const { size } = fstatSync(handle);
    if (size > atMost) throw tooLarge(size, atMost);
    const pieces: Buffer<ArrayBuffer>[] = [];
    let length = 0;
    // A file may grow meanwhile, and those of /proc have no size.
    for (let room = size + 1; ; room = 2 ** 16) {
      const piece = Buffer.alloc(room);
      const count = readSync(handle, piece, 0, room, null);
      if (count === 0) break;
      pieces.push(piece.subarray(0, count));
      length += count;
      if (length > atMost) throw tooLarge(length, atMost);
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  } finally {
    closeSync(handle);
  }
}

/** As `readRegularFile`, decoded as UTF-8. */
export const readTextFile = (file: string, atMost?: number): string => readRegularFile(file, atMost).toString('utf8');

/** The first `length` bytes of a regular file as text, of a shorter one all. Throws as `openRegularFile`. */
export function readTextStart(file: string, length: number): string {
  const handle = openRegularFile(file);
  try {
    const bytes = Buffer.alloc(Math.min(length, fstatSync(handle).size));
    return bytes.toString('utf8', 0, readSync(handle, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(handle);
  }
}

/** Throws a plain Error that says what stands in the place of a regular file. */
export function checkRegular(stats: Stats): void {
  if (stats.isFile()) return;
  throw new Error(`it is ${kindOf(stats)}, expected a regular file`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

const tooLarge = (size: number, atMost: number): Error =>
  new Error(`it has ${size} bytes, expected at most ${atMost} for a file of its kind`);
