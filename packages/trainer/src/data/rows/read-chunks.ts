import { createReadStream } from 'node:fs';
import { TrainerError } from '../../errors.js';

/**
 * The bytes of a file in pieces, without a byte order mark.
 *
 * @throws TrainerError DATA_UNREADABLE; the signal's reason when it is aborted
 */
export async function* readChunks(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let first = true;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 18 }) as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      const marked = first && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf;
      first = false;
      yield marked ? chunk.subarray(3) : chunk;
    }
  } catch (cause) {
    throw isSystemError(cause) ? unreadable(file, cause) : cause;
  }
}

export function unreadable(file: string, cause: Error): TrainerError {
  return new TrainerError('DATA_UNREADABLE', `cannot read the data file ${file}: ${cause.message}`, { cause });
}

/** An error of the operating system, such as a missing file. */
export function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}
