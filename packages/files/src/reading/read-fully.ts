import { readSync } from 'node:fs';

/** One call of the operating system reads less than 2 GiB. */
const maxRead = 2 ** 30;

/** `length` bytes at `offset` of an open file, in a buffer of their own; throws a plain Error where the file ends before. */
export function readFully(handle: number, length: number, offset: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = readSync(handle, bytes, done, Math.min(length - done, maxRead), offset + done);
    if (count === 0) throw new Error(`it ends at byte ${offset + done}, ${length - done} bytes early`);
    done += count;
  }
  return bytes;
}
