import { createHash, randomBytes, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { isRunning, makeFolder } from '@glulam/files';
import { HubError } from './errors.js';
import { unwritable } from './hub-cache.js';
import { blobName, type HubFile } from './hub-file.js';
import { reasonOf, type HubFetch } from './hub-fetch.js';
import { piecesOf } from './read-body.js';

interface BlobDownload {
  readonly file: HubFile;
  /** owner/name, for messages. */
  readonly repository: string;
  readonly url: string;
  readonly cache: string;
  readonly blobs: string;
  readonly fetch: HubFetch;
  readonly signal: AbortSignal;
  /** How many bytes of the file are here. */
  readonly onBytes: (bytes: number) => void;
}

/** Those that this process is at. */
const active = new Set<string>();

/**
 * Download one file's content to `blobs/HASH`: under that name it is whole and has that hash. Until then it is
 * `HASH.PID-RANDOM.incomplete`, which a later process goes on with (huggingface_hub 2 names it alike, older ones go on with
 * `HASH.incomplete`). What is asked for again after a cut is the rest.
 *
 * @throws HubError CONTENT_DAMAGED, CACHE_UNWRITABLE, and as HubFetch
 */
export async function downloadBlob(download: BlobDownload): Promise<void> {
  const { file, repository, cache, blobs } = download;
  const target = path.join(blobs, blobName(file));
  const incomplete = await claim(blobs, blobName(file)).catch((error: unknown) => {
    throw unwritable(cache, error);
  });
  active.add(incomplete);
  try {
    const handle = await open(incomplete, 'a+').catch((error: unknown) => {
      throw unwritable(cache, error);
    });
    let digest: string;
    try {
      digest = await fill(handle, incomplete, download);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (digest !== blobName(file)) {
      await rm(incomplete, { force: true });
      throw new HubError(
        'CONTENT_DAMAGED',
        `${file.path} of ${repository} came with other content than the Hub lists: its hash is ${digest}, expected ${blobName(file)}. ` +
          'The file was removed; give the same command again. If it happens again, a proxy or mirror (HF_ENDPOINT) gives wrong bytes',
      );
    }
    await rename(incomplete, target).catch((error: unknown) => {
      throw unwritable(cache, error);
    });
  } finally {
    active.delete(incomplete);
  }
}

/** The name to write under: the longest that a process which is gone has left is taken over, others are removed. */
async function claim(blobs: string, name: string): Promise<string> {
  const fresh = path.join(blobs, `${name}.${process.pid}-${randomBytes(4).toString('hex')}.incomplete`);
  makeFolder(blobs);
  const left: { readonly file: string; readonly size: number }[] = [];
  for (const entry of await readdir(blobs)) {
    const [, blob, pid] = /^([0-9a-f]+)\.(\d+)-[0-9a-f]{8}\.incomplete$/.exec(entry) ?? [];
    const file = path.join(blobs, entry);
    if (blob !== name || active.has(file)) continue;
    // Of this process itself, but nobody is at it: an earlier try that failed.
    if (Number(pid) !== process.pid && isRunning(Number(pid))) continue;
    left.push({ file, size: (await stat(file)).size });
  }
  const [longest, ...others] = left.sort((a, b) => b.size - a.size);
  for (const { file } of others) await rm(file, { force: true });
  if (longest !== undefined) {
    await rename(longest.file, fresh).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error; // another process took it first: begin
    });
  }
  return fresh;
}

/** Bring the file to its full length; returns the hash of what is in it. */
async function fill(handle: FileHandle, name: string, download: BlobDownload): Promise<string> {
  const { file, url, cache, fetch, signal, onBytes } = download;
  let have = (await handle.stat()).size;
  if (have > file.size) {
    await handle.truncate(0);
    have = 0;
  }
  let hash = newHash(file);
  for await (const chunk of createReadStream(name, { highWaterMark: 2 ** 20 })) {
    signal.throwIfAborted();
    hash.update(chunk as Buffer);
  }
  onBytes(have);

  for (let attempt = 1; have < file.size;) {
    const before = have;
    const response = await fetch.stream(url, have === 0 ? {} : { headers: { range: `bytes=${have}-` } });
    if (have > 0 && !continuesAt(response, have)) {
      // The server gave all of it again.
      await handle.truncate(0);
      hash = newHash(file);
      have = 0;
    }
    try {
      for await (const chunk of fastEnough(response, fetch.silence, signal)) {
        if (have + chunk.length > file.size) throw tooLong(download);
        await writeAll(handle, chunk).catch((error: unknown) => {
          throw unwritable(cache, error);
        });
        hash.update(chunk);
        have += chunk.length;
        onBytes(have);
      }
      if (have < file.size) throw new Error(`it ended ${file.size - have} bytes early`);
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof HubError) {
        if (cause.code === 'CONTENT_DAMAGED') await rm(name, { force: true });
        throw cause;
      }
      // As long as each try brings enough there is no reason to give up.
      attempt = have - before >= leastBytes ? 1 : attempt + 1;
      const reason = `the download of ${file.path} of ${download.repository} was cut (${reasonOf(cause)}) with ${have} of ${file.size} bytes here; they are kept: check the connection and give the same command again`;
      await fetch.wait(attempt, new HubError('UNREACHABLE', reason, { cause }));
    }
  }
  return hash.digest('hex');
}

/** sha256 of what is in LFS, the sha1 of git's blob of what is not. */
function newHash({ sha256, size }: HubFile): Hash {
  return sha256 === undefined ? createHash('sha1').update(`blob ${size}\0`) : createHash('sha256');
}

function continuesAt(response: Response, have: number): boolean {
  return response.status === 206 && new RegExp(`^bytes ${have}-`).test(response.headers.get('content-range') ?? '');
}

/** A server that gives less in the time of a silence is as good as gone, and so is a try that brings less. */
const leastBytes = 16_384;

async function* fastEnough(response: Response, silence: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let [since, bytes] = [performance.now(), 0];
  for await (const piece of piecesOf(response, signal, () => silence)) {
    yield piece;
    bytes += piece.length;
    if (performance.now() - since < silence) continue;
    if (bytes < leastBytes) throw new Error(`only ${bytes} bytes came in ${silence / 1000} s`);
    [since, bytes] = [performance.now(), 0];
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length;) done += (await handle.write(chunk, done)).bytesWritten;
}

const tooLong = ({ file, repository }: BlobDownload): HubError =>
  new HubError(
    'CONTENT_DAMAGED',
    `${file.path} of ${repository} is longer than the ${file.size} bytes that the Hub lists; what came was removed: give the same command again. If it happens again, a proxy or mirror (HF_ENDPOINT) gives wrong bytes`,
  );
