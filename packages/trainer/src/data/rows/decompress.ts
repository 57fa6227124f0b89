import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { TrainerError } from '../../errors.js';

type Compression = 'gzip' | 'Zstandard';

/** By the first bytes. */
export function compressionOf(head: Buffer): Compression | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head.length < 4) return undefined;
  const magic = head.readUInt32LE();
  // Frames that are passed over (pzstd writes them) have the numbers from 0x184d2a50 on.
  return magic === 0xfd2fb528 || (magic & 0xfffffff0) === 0x184d2a50 ? 'Zstandard' : undefined;
}

/**
 * Decompresses as it is read. Node 20 has no Zstandard; fzstd's decoder checks the frames and their lengths, not the
 * checksums of their contents.
 *
 * @throws TrainerError DATA_INVALID
 */
export async function* decompress(
  chunks: AsyncIterable<Buffer>,
  compression: Compression,
  file: string,
): AsyncGenerator<Buffer> {
  const broken = (cause: Error): TrainerError =>
    new TrainerError(
      'DATA_INVALID',
      `${file} cannot be decompressed as ${compression}: ${cause.message}; it may have been cut short: fetch it again`,
      { cause },
    );
  yield* compression === 'gzip' ? gunzip(chunks, broken) : unzstd(chunks, broken);
}

type Broken = (cause: Error) => TrainerError;

async function* gunzip(chunks: AsyncIterable<Buffer>, broken: Broken): AsyncGenerator<Buffer> {
  const stream = createGunzip({ chunkSize: 2 ** 18 });
  const fed = pipeline(chunks, stream);
  // The stream fails with it too, and there it is looked at.
  fed.catch(() => {});
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw error instanceof Error && 'code' in error && String(error.code).startsWith('Z_') ? broken(error) : error;
  } finally {
    stream.destroy();
  }
}

async function* unzstd(chunks: AsyncIterable<Buffer>, broken: Broken): AsyncGenerator<Buffer> {
  let ready: Buffer[] = [];
  const decoder = new Decompress((chunk) => void ready.push(Buffer.from(chunk)));
  const push = (bytes: Uint8Array, last: boolean): Buffer[] => {
    try {
      decoder.push(bytes, last);
    } catch (error) {
      throw broken(error as Error);
    }
    const made = ready;
    ready = [];
    return made;
  };
  for await (const chunk of chunks) yield* push(Uint8Array.from(chunk), false);
  yield* push(new Uint8Array(0), true);
}
