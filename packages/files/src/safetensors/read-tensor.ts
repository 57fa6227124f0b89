import { closeSync } from 'node:fs';
import { FilesError } from '../errors.js';
import { bytesPerElement, fromBfloat16Bits, fromFloat16Bits } from '../numbers/dtype.js';
import { readFully } from '../reading/read-fully.js';
import { openRegularFile } from '../reading/regular-file.js';
import type { SafetensorsEntry } from './safetensors-header.js';
import type { WeightSource } from './weight-source.js';

/**
 * Rows `[start, end)` along the first axis of a tensor, widened to float32; a scalar is one row. For tensors that fit
 * in memory: adapters and tests. The base's weights are read by engines, where they lie.
 *
 * Throws DTYPE_MISMATCH for integers, BAD_ARGUMENT for rows that the tensor has not, FILE_UNREADABLE.
 */
export function readFloats(source: WeightSource, start = 0, end = source.shape[0] ?? 1): Float32Array<ArrayBuffer> {
  const { name, shape, dtype, file, byteOffset, byteLength } = source;
  if (dtype === 'int32') {
    throw new FilesError('DTYPE_MISMATCH', `tensor ${name} of ${file} holds integers, expected floats: use readInts`);
  }
  const rows = shape[0] ?? 1;
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || start > end || end > rows) {
    throw new FilesError('BAD_ARGUMENT', `tensor ${name} of ${file} has ${rows} rows, not [${start}, ${end})`);
  }
  const rowBytes = rows === 0 ? 0 : byteLength / rows;
  const bytes = readBytes(file, byteOffset + start * rowBytes, (end - start) * rowBytes);
  // The format is little-endian and so is every platform that Glulam runs on.
  if (dtype === 'float32') return new Float32Array(bytes.buffer);
  const words = new Uint16Array(bytes.buffer);
  const widen = dtype === 'bfloat16' ? fromBfloat16Bits : fromFloat16Bits;
  const values = new Float32Array(bytes.length / bytesPerElement[dtype]);
  for (let i = 0; i < values.length; i++) values[i] = widen(words[i]!);
  return values;
}

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

/** `length` bytes of a file from `offset` on. Throws FILE_UNREADABLE. */
export function readBytes(file: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  let handle: number | undefined;
  try {
    handle = openRegularFile(file);
    return readFully(handle, length, offset);
  } catch (cause) {
    throw new FilesError(
      'FILE_UNREADABLE',
      `cannot read ${length} bytes at byte ${offset} of ${file}: ${(cause as Error).message}; was it changed since it was opened?`,
      { cause },
    );
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
