import { statSync } from 'node:fs';
import { FilesError, readFloats, type WeightSource } from '@glulam/files';
import { uniforms, type RandomKey } from '@glulam/tensors';

/** What comes to a backend from outside: files and random numbers. A plan has stand-ins, since it reads nothing. */
export interface Host {
  /** Throws FILE_UNREADABLE. */
  sizeOfFile(file: string): number;
  readFloats(source: WeightSource, start?: number, end?: number): Float32Array;
  uniforms(count: number, key: RandomKey): Float32Array;
}

export const host: Host = { sizeOfFile, readFloats, uniforms };

function sizeOfFile(file: string): number {
  try {
    return statSync(file).size;
  } catch (cause) {
    throw new FilesError(
      'FILE_UNREADABLE',
      `cannot open ${file}: ${(cause as Error).message}; check that the checkpoint is whole and readable`,
      { cause },
    );
  }
}
