import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import path from 'node:path';
import { readBytes } from '../reading/read-bytes.js';

const blockBytes = 2 ** 16;
const blocks = 128;

/**
 * A sha256 of the names, lengths and contents of files, in any folder. Of a file above 8 MB it takes 128 blocks of 64 KiB,
 * evenly spread from the first byte to the last: enough to tell other weights, not to find a single other value.
 *
 * Throws FILE_UNREADABLE.
 */
export function sampleHash(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) {
    const { size } = statSync(file);
    hash.update(JSON.stringify([path.basename(file), size]));
    if (size <= blocks * blockBytes) hash.update(readBytes(file, 0, size));
    else
      for (let block = 0; block < blocks; block++)
        hash.update(readBytes(file, Math.floor((block * (size - blockBytes)) / (blocks - 1)), blockBytes));
  }
  return hash.digest('hex');
}
