import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, readSync } from 'node:fs';
import { openRegularFile } from '@glulam/files';
import type { Example } from '../../step/batches.js';
import { TrainerError } from '../../errors.js';
import type { RowReport } from './data-tally.js';

/**
 * Tokenized examples in one file, so that replacing it is one rename:
 *
 *     examples    ids (int32 each), then what is trained (a byte each), one example after another
 *     index       for each example its number of tokens and its row, counted from 0 (uint32 each)
 *     report      JSON: StoredReport
 *     its length  uint32
 *     sha256      of everything before it, 32 bytes
 *
 * Numbers are little-endian, as on every platform that Node runs on.
 */
export interface TokenStore {
  readonly count: number;
  readonly report: StoredReport;
  /** Tokens of an example. */
  length(index: number): number;
  /** The row that an example is of: equal for parts of one row, growing, not its number in the file. */
  row(index: number): number;
  /** Read from disk at each call. */
  read(index: number): Example;
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string;
  close(): void;
}

export interface StoredReport extends RowReport {
  /** The kind of the data format. */
  readonly format: string;
}

export const lengthBytes = 4;
export const tokenBytes = 5;
const indexBytes = 8;
const digestBytes = 32;

/** A store that is whole, or undefined where there is none or it is damaged. */
export async function openTokenStore(file: string): Promise<TokenStore | undefined> {
  let handle: number;
  try {
    handle = openRegularFile(file);
  } catch {
    return undefined; // it is made then, and where that fails, this is told
  }
  try {
    const store = await readStore(file, handle);
    if (store === undefined) closeSync(handle);
    return store;
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

async function readStore(file: string, handle: number): Promise<TokenStore | undefined> {
  const { size } = fstatSync(handle);
  if (size < digestBytes + lengthBytes) return undefined;
  const hash = createHash('sha256');
  const whole = { fd: handle, autoClose: false, start: 0, end: size - digestBytes - 1, highWaterMark: 2 ** 20 };
  for await (const chunk of createReadStream('', whole) as AsyncIterable<Buffer>) hash.update(chunk);
  const sha256 = hash.digest('hex');
  const trailerOffset = size - digestBytes - lengthBytes;
  const trailer = Buffer.from(readExactly(handle, digestBytes + lengthBytes, trailerOffset));
  if (trailer.toString('hex', lengthBytes) !== sha256) return undefined;

  // What the digest vouches for is what was written.
  const jsonBytes = trailer.readUInt32LE();
  const jsonOffset = trailerOffset - jsonBytes;
  const report = JSON.parse(Buffer.from(readExactly(handle, jsonBytes, jsonOffset)).toString()) as StoredReport;
  const count = report.examples;
  const index = new Uint32Array(readExactly(handle, count * indexBytes, jsonOffset - count * indexBytes).buffer);
  const starts = new Float64Array(count);
  for (let i = 1; i < count; i++) starts[i] = starts[i - 1]! + index[2 * (i - 1)]!;
  const reader = openReader(file, handle);
  return {
    count,
    report,
    sha256,
    length: (i) => index[2 * i]!,
    row: (i) => index[2 * i + 1]!,
    read(i) {
      const length = index[2 * i]!;
      const bytes = reader.read(length * tokenBytes, starts[i]! * tokenBytes);
      return { ids: new Int32Array(bytes.buffer, 0, length), trained: bytes.subarray(4 * length) };
    },
    close: () => reader.close(),
  };
}

/** Files that this process keeps open: it may have no more than 1,024, and data of ten thousand. */
const mostOpen = 256;
let open = 0;

/** Reads of a store while it is open; the files of more stores than may be open are opened for each read. */
function openReader(file: string, handle: number) {
  const isKept = open < mostOpen;
  if (isKept) open += 1;
  else closeSync(handle);
  return {
    read(length: number, offset: number): Uint8Array<ArrayBuffer> {
      if (isKept) return readExactly(handle, length, offset);
      const again = reopen(file);
      try {
        return readExactly(again, length, offset);
      } finally {
        closeSync(again);
      }
    },
    close(): void {
      if (!isKept) return;
      open -= 1;
      closeSync(handle);
    },
  };
}

function reopen(file: string): number {
  try {
    return openRegularFile(file);
  } catch (cause) {
    throw new TrainerError(
      'DATA_UNREADABLE',
      `tokenized data in the cache cannot be read any more (${(cause as Error).message}); start again`,
      { cause },
    );
  }
}

function readExactly(handle: number, length: number, offset: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = readSync(handle, bytes, done, length - done, offset + done);
    if (count === 0) {
      const { size } = fstatSync(handle);
      throw new TrainerError(
        'DATA_UNREADABLE',
        `tokenized data in the cache was cut to ${size} bytes while it was in use; start again`,
      );
    }
    done += count;
  }
  return bytes;
}
