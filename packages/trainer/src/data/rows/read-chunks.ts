import { createReadStream } from 'node:fs';
import { TextDecoder } from 'node:util';
import { openRegularFile } from '@glulam/files';
import { TrainerError } from '../../errors.js';
import { compressionOf, decompress } from './decompress.js';

/**
 * The bytes of a file in pieces, as they are on disk.
 *
 * @throws TrainerError DATA_UNREADABLE; the signal's reason when it is aborted
 */
export async function* readRaw(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let fd: number;
  try {
    fd = openRegularFile(file);
  } catch (cause) {
    throw unreadable(file, cause as Error);
  }
  try {
    for await (const chunk of createReadStream('', { fd, highWaterMark: 2 ** 18 }) as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (cause) {
    throw isSystemError(cause) ? unreadable(file, cause) : cause;
  }
}

/**
 * The text of a file as UTF-8 in pieces: decompressed where it is gzip or Zstandard, whatever its name, decoded where a
 * byte order mark says UTF-16, and without that mark. That its bytes are UTF-8 is for the reader to check.
 *
 * @throws TrainerError DATA_UNREADABLE, DATA_INVALID; the signal's reason when it is aborted
 */
export async function* readChunks(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let first = true;
  let decoder: TextDecoder | undefined;
  for await (const chunk of withHead(readPlain(file, signal))) {
    let text = chunk;
    if (first) {
      first = false;
      const other = otherContent(chunk);
      if (other !== undefined)
        throw new TrainerError(
          'DATA_INVALID',
          `${file} holds ${other}; expected text (JSON, JSON lines, CSV or TSV), plain or as .gz or .zst`,
        );
      if (startsWith(chunk, [0xef, 0xbb, 0xbf])) text = chunk.subarray(3);
      else if (startsWith(chunk, [0xff, 0xfe])) decoder = new TextDecoder('utf-16le', { fatal: true });
      else if (startsWith(chunk, [0xfe, 0xff])) decoder = new TextDecoder('utf-16be', { fatal: true });
    }
    yield decoder === undefined ? text : decodeUtf16(decoder, file, text);
  }
  if (decoder !== undefined) yield decodeUtf16(decoder, file);
}

/** Without compression. */
async function* readPlain(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const raw = withHead(readRaw(file, signal));
  try {
    const first: IteratorResult<Buffer, unknown> = await raw.next();
    if (first.done === true) return;
    const head = first.value;
    const all = (async function* () {
      yield head;
      yield* raw;
    })();
    const compression = compressionOf(head);
    yield* compression === undefined ? all : decompress(all, compression, file);
  } finally {
    // Whoever wants the first row only leaves before `raw` is asked again: the file would stay open.
    await raw.return(undefined);
  }
}

/** The same bytes, in a first piece that is long enough to say what they are. */
async function* withHead(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < 8) continue;
    yield head;
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield head;
}

const startsWith = (bytes: Uint8Array, beginning: readonly number[]): boolean =>
  beginning.length <= bytes.length && beginning.every((byte, i) => bytes[i] === byte);

/** What files of other kinds begin with, which is not text. */
function otherContent(head: Buffer): string | undefined {
  if (startsWith(head, [0xff, 0xfe, 0, 0])) return 'UTF-32 text: save it as UTF-8';
  const kinds: readonly (readonly [string, string])[] = [
    ['PAR1', 'Parquet: name it .parquet'],
    ['PK\u0003\u0004', 'a zip archive: unpack it'],
    ['\u001f\u008b', 'gzip within gzip: unpack it'],
    ['BZh', 'bzip2: unpack it'],
    ['\u00fd7zXZ', 'xz: unpack it'],
    ['ARROW1', 'Arrow: save it as Parquet'],
    ['version https://git-lfs', 'a Git LFS pointer: fetch the file that it stands for'],
  ];
  return kinds.find(([magic]) => head.toString('latin1', 0, magic.length) === magic)?.[1];
}

function decodeUtf16(decoder: TextDecoder, file: string, bytes?: Buffer): Buffer {
  try {
    return Buffer.from(bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true }));
  } catch (cause) {
    throw new TrainerError(
      'DATA_INVALID',
      `${file} begins with the byte order mark of UTF-16 and is not UTF-16 text throughout; save it as UTF-8`,
      { cause },
    );
  }
}

export function unreadable(file: string, cause: Error): TrainerError {
  return new TrainerError('DATA_UNREADABLE', `cannot read the data file ${file}: ${cause.message}`, { cause });
}

/** An error of the operating system, such as a missing file. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}
