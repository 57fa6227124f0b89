import { FilesError } from '../errors.js';
import { readBytes } from '../reading/read-bytes.js';

/** Bytes that a part of a weight is made of, wherever they are: a stretch of a file, or memory. */
export interface ByteSource {
  /** How many there are. */
  readonly byteLength: number;
  /** Bytes `[start, end)`, in a buffer of their own. Rejects where they cannot be read. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The same at once, where nothing has to be waited for. Sources without it are read whole when a weight is opened. */
  readSync?(start: number, end: number): Uint8Array<ArrayBuffer>;
  /** Where they lie in a file that this process can open; engines map such files instead of reading them. */
  readonly file?: { readonly path: string; readonly byteOffset: number };
}

/** A stretch of a file; nothing is opened before it is read. Reading throws FILE_UNREADABLE. */
export function fileBytes(path: string, byteOffset: number, byteLength: number): ByteSource {
  const readSync = (start: number, end: number): Uint8Array<ArrayBuffer> => {
    if (start >= 0 && start <= end && end <= byteLength) return readBytes(path, byteOffset + start, end - start);
    throw new FilesError('BAD_ARGUMENT', `bytes [${start}, ${end}) of ${byteLength} of ${path} were asked for`);
  };
  return {
    byteLength,
    read: async (start, end) => readSync(start, end),
    readSync,
    file: { path, byteOffset },
  };
}

/** Bytes that are in memory already. */
export function memoryBytes(bytes: Uint8Array): ByteSource {
  const readSync = (start: number, end: number): Uint8Array<ArrayBuffer> => Uint8Array.from(bytes.subarray(start, end));
  return { byteLength: bytes.byteLength, read: (start, end) => Promise.resolve(readSync(start, end)), readSync };
}
