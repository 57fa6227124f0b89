import { FilesError } from '../errors.js';
import { readBytes } from '../reading/read-bytes.js';
import type { SafetensorsEntry } from './safetensors-header.js';

/**
 * All values of an I32 or I64 tensor, such as token ids.
 *
 * Throws DTYPE_MISMATCH for another type, BAD_ARGUMENT for an int64 value beyond int32, FILE_UNREADABLE.
 */
export function readInts({ name, dtype, file, byteOffset, byteLength }: SafetensorsEntry): Int32Array<ArrayBuffer> {
  if (dtype !== 'I32' && dtype !== 'I64') {
    throw new FilesError('DTYPE_MISMATCH', `tensor ${name} of ${file} is stored as ${dtype}, expected I32 or I64`);
  }
  const bytes = readBytes(file, byteOffset, byteLength);
  if (dtype === 'I32') return new Int32Array(bytes.buffer);
  return Int32Array.from(new BigInt64Array(bytes.buffer), (value, i) => {
    if (BigInt.asIntN(32, value) === value) return Number(value);
    throw new FilesError('BAD_ARGUMENT', `tensor ${name} of ${file} has ${value} at ${i}, expected values of 32 bits`);
  });
}
