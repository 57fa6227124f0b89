import { closeSync } from 'node:fs';
import { FilesError } from '../errors.js';
import { readFully } from './read-fully.js';
import { openRegularFile } from './regular-file.js';

/** `length` bytes of a file from `offset` on. Throws FILE_UNREADABLE. */
export function readBytes(file: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  let handle: number | undefined;
  try {
    handle = openRegularFile(file);
    return readFully(handle, length, offset);
  } catch (cause) {
    throw new FilesError(
      'FILE_UNREADABLE',
      `cannot read ${length} bytes at byte ${offset} of ${file}: ${(cause as Error).message}; was it changed since it was opened?`,
      { cause },
    );
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
