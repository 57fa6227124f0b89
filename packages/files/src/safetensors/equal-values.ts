import { sizeOf } from '../numbers/shape.js';
import { readBytes, readFloats } from './read-tensor.js';
import type { WeightSource } from './weight-source.js';

/** About so many values are in memory at a time. */
const blockValues = 2 ** 20;

/**
 * Whether two tensors of one shape hold the same values as float32, in whatever types they are stored; 0 equals -0. Reads
 * both in blocks up to the first difference.
 *
 * Throws DTYPE_MISMATCH for integers, FILE_UNREADABLE.
 */
export function equalValues(a: WeightSource, b: WeightSource): boolean {
  const rows = a.shape[0] ?? 1;
  const step = Math.max(1, Math.floor((blockValues * rows) / Math.max(1, sizeOf(a.shape))));
  for (let start = 0; start < rows; start += step) {
    const end = Math.min(rows, start + step);
    if (a.dtype === b.dtype && rowBytes(a, start, end).equals(rowBytes(b, start, end))) continue;
    const [left, right] = [readFloats(a, start, end), readFloats(b, start, end)];
    for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  }
  return true;
}

function rowBytes({ shape, file, byteOffset, byteLength }: WeightSource, start: number, end: number): Buffer {
  const size = byteLength / (shape[0] ?? 1);
  return Buffer.from(readBytes(file, byteOffset + start * size, (end - start) * size).buffer);
}
