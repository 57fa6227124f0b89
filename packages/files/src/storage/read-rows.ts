import { FilesError } from '../errors.js';
import { memoryBytes } from './byte-source.js';
import { sizeOf } from '../numbers/shape.js';
import type { ByteRange } from './storage-format.js';
import { checkRowRange, checkView, runsOf, type WeightSource } from './weight-source.js';

/** One run of elements that follow each other in the stored tensor: what to read for it, and where its values go. */
interface Run {
  readonly extents: readonly ByteRange[];
  /** Decode the bytes of these extents. */
  decode(bytes: readonly Uint8Array[]): void;
}

function planRows(
  source: WeightSource,
  start: number,
  end: number,
): { readonly values: Float32Array<ArrayBuffer>; readonly runs: readonly Run[] } {
  const { name, origin, shape, dtype, format, storedShape } = checkView(source);
  if (dtype === 'int32')
    throw new FilesError('DTYPE_MISMATCH', `tensor ${name} of ${origin} holds integers, expected floats: use readInts`);
  checkRowRange(source, start, end);
  const values = new Float32Array((end - start) * sizeOf(shape.slice(1)));
  let done = 0;
  const runs = runsOf(source, start, end).map((run) => {
    const target = values.subarray(done, (done += run.end - run.start));
    return {
      extents: format.extents(storedShape, run.start, run.end),
      decode: (bytes: readonly Uint8Array[]) => format.decode(bytes, storedShape, run.start, run.end, target),
    };
  });
  return { values, runs };
}

/**
 * Rows `[start, end)` along the first axis of a tensor, decoded to float32; a scalar is one row. For what fits in memory:
 * a weight of a base is read some rows at a time.
 *
 * Rejects with DTYPE_MISMATCH for integers, BAD_ARGUMENT for rows that the tensor has not, FILE_UNREADABLE.
 */
export async function readRows(
  source: WeightSource,
  start = 0,
  end = source.shape[0] ?? 1,
): Promise<Float32Array<ArrayBuffer>> {
  const { values, runs } = planRows(source, start, end);
  for (const { extents, decode } of runs)
    decode(await Promise.all(extents.map(([from, to], part) => source.parts[part]!.read(from, to))));
  return values;
}

/**
 * The same at once, for tensors of files and of memory.
 *
 * Throws as `readRows` rejects, and BAD_ARGUMENT where a part has to be waited for.
 */
export function readFloats(source: WeightSource, start = 0, end = source.shape[0] ?? 1): Float32Array<ArrayBuffer> {
  const { values, runs } = planRows(source, start, end);
  for (const { extents, decode } of runs) decode(extents.map(([from, to], part) => readNow(source, part, from, to)));
  return values;
}

function readNow({ name, origin, parts }: WeightSource, part: number, start: number, end: number): Uint8Array {
  const { readSync } = parts[part]!;
  if (readSync !== undefined) return readSync(start, end);
  throw new FilesError(
    'BAD_ARGUMENT',
    `tensor ${name} of ${origin} cannot be read at once; use readRows, or inMemory before`,
  );
}

/** The tensor itself where it can be read at once, and else with all its parts in memory. */
export async function inMemory(source: WeightSource): Promise<WeightSource> {
  if (source.parts.every(({ readSync }) => readSync !== undefined)) return source;
  const parts = await Promise.all(source.parts.map(async (part) => memoryBytes(await part.read(0, part.byteLength))));
  return { ...source, parts };
}
