import { setImmediate } from 'node:timers/promises';
import { bytesPerElement, fromBfloat16Bits, fromFloat16Bits, type DType } from '../numbers/dtype.js';
import { sizeOf } from '../numbers/shape.js';
import { readBytes } from '../reading/read-bytes.js';
import { readRows } from '../storage/read-rows.js';
import { plainBytes, type WeightSource } from '../storage/weight-source.js';

/** A value of a stored tensor that is NaN or infinite. */
export interface NotFinite {
  /** Its place along each axis. */
  readonly at: readonly number[];
  /** NaN, Infinity or -Infinity. */
  readonly value: number;
}

/** Bytes to look through before the event loop gets a turn. */
const blockBytes = 2 ** 23;

/** Values to decode and look through before the event loop gets a turn. */
const blockValues = 2 ** 20;

/** The first value of a stored tensor that is NaN or infinite, or undefined. Rejects with FILE_UNREADABLE. */
export async function findNotFinite(source: WeightSource): Promise<NotFinite | undefined> {
  if (source.dtype === 'int32') return undefined;
  const stored = plainBytes(source);
  if (stored === undefined) return findDecoded(source);
  const { path, byteOffset, byteLength } = stored;
  for (let start = 0; start < byteLength; start += blockBytes) {
    const bytes = readBytes(path, byteOffset + start, Math.min(blockBytes, byteLength - start));
    const found = notFiniteIn(source, bytes, start / bytesPerElement[source.dtype]);
    if (found !== undefined) return found;
    await setImmediate();
  }
  return undefined;
}

async function findDecoded(source: WeightSource): Promise<NotFinite | undefined> {
  const rows = source.shape[0] ?? 1;
  const rowSize = sizeOf(source.shape.slice(1));
  const step = Math.max(1, Math.floor(blockValues / rowSize));
  for (let start = 0; start < rows; start += step) {
    const values = await readRows(source, start, Math.min(rows, start + step));
    const index = values.findIndex((value) => !Number.isFinite(value));
    if (index >= 0) return { at: placeOf(start * rowSize + index, source.shape), value: values[index]! };
    await setImmediate();
  }
  return undefined;
}

/**
 * The first value that is NaN or infinite among some of a tensor's bytes, as they are stored.
 *
 * @param bytes whole values, in a buffer of their own
 * @param first the number of the first of them within the tensor
 */
export function notFiniteIn(
  { dtype, shape }: Pick<WeightSource, 'dtype' | 'shape'>,
  bytes: Uint8Array,
  first = 0,
): NotFinite | undefined {
  if (dtype === 'int32') return undefined;
  const length = bytes.byteLength / bytesPerElement[dtype];
  const words =
    dtype === 'float32'
      ? new Int32Array(bytes.buffer, bytes.byteOffset, length)
      : new Uint16Array(bytes.buffer, bytes.byteOffset, length);
  const index = indexOfBits(words, exponents[dtype]);
  if (index < 0) return undefined;
  return { at: placeOf(first + index, shape), value: valueOf(words[index]!, dtype) };
}

/** An exponent of ones alone means infinity or NaN (IEEE 754; bfloat16 is the upper half of a float32). */
const exponents: Readonly<Record<Exclude<DType, 'int32'>, number>> = {
  float32: 0x7f800000,
  bfloat16: 0x7f80,
  float16: 0x7c00,
};

/** By bits: widening billions of values would take minutes. */
function indexOfBits(words: Int32Array | Uint16Array, exponent: number): number {
  for (let i = 0; i < words.length; i++) if ((words[i]! & exponent) === exponent) return i;
  return -1;
}

function valueOf(word: number, dtype: Exclude<DType, 'int32'>): number {
  if (dtype === 'bfloat16') return fromBfloat16Bits(word);
  if (dtype === 'float16') return fromFloat16Bits(word);
  return new Float32Array(Int32Array.of(word).buffer)[0]!;
}

function placeOf(index: number, shape: readonly number[]): number[] {
  const at: number[] = [];
  for (const size of shape.toReversed()) {
    at.unshift(index % size);
    index = Math.floor(index / size);
  }
  return at;
}
