import { closeSync, fstatSync } from 'node:fs';
import { openRegularFile } from '@glulam/files';
import { TrainerError } from '../../errors.js';
import { openWorkerLane } from '../worker-lane.js';
import type { DataRow } from './data-row.js';
import type { ParquetAnswer } from './parquet-worker.js';
import { unreadable } from './read-chunks.js';

/**
 * Rows of a Parquet file, one row group in memory at a time.
 *
 * It is decoded in a worker thread with bounds on memory and time: a damaged page may say that it holds billions of
 * values, which the decoder then makes, and a thread can be ended where a function cannot.
 *
 * @param seconds how long a row group may take; default: far longer than one of the file's size needs
 */
export async function* readParquet(file: string, signal?: AbortSignal, seconds?: number): AsyncGenerator<DataRow> {
  const mebibytes = sizeOf(file);
  const lane = openWorkerLane<'next', ParquetAnswer>('parquet-worker', {
    workerData: file,
    resourceLimits: { maxOldGenerationSizeMb: 1024 + 16 * mebibytes },
  });
  try {
    let number = 0;
    for (;;) {
      signal?.throwIfAborted();
      const asked = lane.ask('next').catch((error: Error) => ({ fault: error.message, place: 'a row group' }));
      const answer = await within(asked, seconds ?? 60 + mebibytes, signal);
      if ('end' in answer) return;
      if ('fault' in answer) {
        throw new TrainerError(
          'DATA_INVALID',
          `${file}: ${answer.place} cannot be read as Parquet: ${answer.fault}; it may have been cut short: fetch it again`,
        );
      }
      for (const value of answer.rows) yield { number: ++number, value };
    }
  } finally {
    await lane.close();
  }
}

/** The answer, or a fault where it takes too long; rejects when the signal is aborted. */
async function within(asked: Promise<ParquetAnswer>, seconds: number, signal?: AbortSignal): Promise<ParquetAnswer> {
  const settled = new AbortController();
  const late = { fault: `it was not decoded within ${seconds} s`, place: 'a row group' };
  const options = { signal: settled.signal, once: true };
  try {
    return await Promise.race([
      asked,
      // Both end with the controller: what is still waiting then is not looked at.
      new Promise<ParquetAnswer>((done) => {
        const timer = setTimeout(() => done(late), seconds * 1000);
        settled.signal.addEventListener('abort', () => clearTimeout(timer));
      }),
      new Promise<never>((_, fail) => signal?.addEventListener('abort', () => fail(signal.reason as Error), options)),
    ]);
  } finally {
    settled.abort();
  }
}

/** In mebibytes; that the file can be opened is seen here as well. */
function sizeOf(file: string): number {
  try {
    const handle = openRegularFile(file);
    try {
      return Math.ceil(fstatSync(handle).size / 2 ** 20);
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    throw unreadable(file, cause as Error);
  }
}
