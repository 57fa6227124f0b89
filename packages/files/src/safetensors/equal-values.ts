import { sizeOf } from '../numbers/shape.js';
import { readBytes } from '../reading/read-bytes.js';
import { readRows } from '../storage/read-rows.js';
import { plainBytes, type WeightSource } from '../storage/weight-source.js';

/** About so many values are in memory at a time. */
const blockValues = 2 ** 20;

/**
 * Whether two tensors of one shape hold the same values as float32, in whatever formats they are stored; 0 equals -0. Reads
 * both in blocks up to the first difference.
 *
 * Rejects with DTYPE_MISMATCH for integers, FILE_UNREADABLE.
 */
export async function equalValues(a: WeightSource, b: WeightSource): Promise<boolean> {
  const rows = a.shape[0] ?? 1;
  const step = Math.max(1, Math.floor((blockValues * rows) / Math.max(1, sizeOf(a.shape))));
  for (let start = 0; start < rows; start += step) {
    const end = Math.min(rows, start + step);
    if (a.dtype === b.dtype) {
      const [left, right] = [rowBytes(a, start, end), rowBytes(b, start, end)];
      if (left !== undefined && right !== undefined && left.equals(right)) continue;
    }
    const [left, right] = await Promise.all([readRows(a, start, end), readRows(b, start, end)]);
    for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  }
  return true;
}

/** Of tensors that are not quantized, the bytes as they are stored. */
function rowBytes(source: WeightSource, start: number, end: number): Buffer | undefined {
  const stored = plainBytes(source);
  if (stored === undefined) return undefined;
  const size = stored.byteLength / (source.shape[0] ?? 1);
  return Buffer.from(readBytes(stored.path, stored.byteOffset + start * size, (end - start) * size).buffer);
}
