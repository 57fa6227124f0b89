import { createHash } from 'node:crypto';
import { lstat, readdir, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { FilesError, writeFileAtomic } from '@glulam/files';
import { TrainerError } from '../../errors.js';
import type { EncodedBatch } from '../encode/encode-batch.js';
import { lengthBytes, tokenBytes, type StoredReport } from './token-store.js';

export interface TokenStoreWriter {
  /** `firstRow`: the row, in the store's count, of index 0 of the batch. */
  append(batch: EncodedBatch, firstRow: number): Promise<void>;
}

/**
 * Make a store: `fill` appends batches and returns the report. Under the file's name there is always a whole store; two
 * processes that make the same one at once both end with it.
 *
 * @throws TrainerError CACHE_WRITE_FAILED, and whatever `fill` throws
 */
export async function writeTokenStore(
  file: string,
  fill: (writer: TokenStoreWriter) => Promise<StoredReport>,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  try {
    await writeFileAtomic(
      file,
      async (handle) => {
        try {
          await writeTo(handle, file, fill);
        } catch (error) {
          failure = { error };
          throw error;
        }
        // A store that a crash cut short is seen to be so when it is opened, and made again.
      },
      { sync: false },
    );
  } catch (error) {
    if (failure !== undefined) throw failure.error;
    throw error instanceof FilesError ? cacheFailed(file, error) : error;
  }
  await removeAbandoned(path.dirname(file));
}

async function writeTo(
  handle: FileHandle,
  file: string,
  fill: (writer: TokenStoreWriter) => Promise<StoredReport>,
): Promise<void> {
  const hash = createHash('sha256');
  const index: Uint8Array[] = [];
  const put = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes);
    try {
      await handle.writeFile(bytes);
    } catch (error) {
      throw cacheFailed(file, error as Error);
    }
  };
  const report = await fill({
    async append({ ids, trained, examples }, firstRow) {
      const bytes = new Uint8Array(ids.length * tokenBytes);
      const pairs = examples.slice();
      for (let i = 0, at = 0; i < examples.length; i += 2) {
        const length = examples[i]!;
        bytes.set(new Uint8Array(ids.buffer, at * 4, length * 4), at * tokenBytes);
        bytes.set(trained.subarray(at, at + length), at * tokenBytes + length * 4);
        pairs[i + 1]! += firstRow;
        at += length;
      }
      index.push(new Uint8Array(pairs.buffer));
      await put(bytes);
    },
  });
  for (const bytes of index) await put(bytes);
  const json = Buffer.from(JSON.stringify(report));
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(json.length);
  await put(Buffer.concat([json, length]));
  await handle.writeFile(hash.digest());
}

function cacheFailed(file: string, cause: Error): TrainerError {
  return new TrainerError(
    'CACHE_WRITE_FAILED',
    `tokenized data could not be kept in ${path.dirname(file)} (${cause.message}); make room there, or name another folder with data.cache or GLULAM_CACHE`,
    { cause },
  );
}

/** The temporary name of a store, as `tokenizeFile` and `writeFileAtomic` make it. The folder may hold files of others. */
const temporary = /^\.[0-9a-f]{64}\.tokens\.\d+-[0-9a-f]{8}\.tmp$/;

/** When what is in a folder was looked at: once an hour is enough, and there may be thousands of files to write. */
const looked = new Map<string, number>();

/**
 * Stores that killed processes left unfinished. By age, not by process: on a shared disk the writer may be on another machine.
 */
async function removeAbandoned(folder: string): Promise<void> {
  const day = 24 * 60 * 60 * 1000;
  if (Date.now() - (looked.get(folder) ?? -Infinity) < day / 24) return;
  looked.set(folder, Date.now());
  for (const name of await readdir(folder)) {
    if (!temporary.test(name)) continue;
    const file = path.join(folder, name);
    const written = await lstat(file).catch(() => undefined); // gone: its writer was faster
    if (written?.isFile() === true && Date.now() - written.mtimeMs > day) await rm(file, { force: true });
  }
}
