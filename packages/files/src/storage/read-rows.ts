import { FilesError } from '../errors.js';
import { memoryBytes } from './byte-source.js';
import { sizeOf } from '../numbers/shape.js';
import { checkRowRange, checkView, runsOf, type ElementRun, type WeightSource } from './weight-source.js';

function prepare(source: WeightSource, start: number, end: number) {
  const { name, origin, shape, dtype } = checkView(source);
  if (dtype === 'int32')
    throw new FilesError('DTYPE_MISMATCH', `tensor ${name} of ${origin} holds integers, expected floats: use readInts`);
  checkRowRange(source, start, end);
  return { values: new Float32Array((end - start) * sizeOf(shape.slice(1))), runs: runsOf(source, start, end) };
}

function decodeRun(
  { format, storedShape }: WeightSource,
  { start, end }: ElementRun,
  bytes: readonly Uint8Array[],
  values: Float32Array,
): void {
  format.decode(bytes, storedShape, start, end, values);
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
  const { values, runs } = prepare(source, start, end);
  let done = 0;
  for (const run of runs) {
    const extents = source.format.extents(source.storedShape, run.start, run.end);
    const bytes = await Promise.all(extents.map(([from, to], part) => source.parts[part]!.read(from, to)));
    decodeRun(source, run, bytes, values.subarray(done, (done += run.end - run.start)));
  }
  return values;
}

/**
 * The same at once, for tensors of files and of memory.
 *
 * Throws as `readRows` rejects, and BAD_ARGUMENT where a part has to be waited for.
 */
export function readFloats(source: WeightSource, start = 0, end = source.shape[0] ?? 1): Float32Array<ArrayBuffer> {
  const { values, runs } = prepare(source, start, end);
  let done = 0;
  for (const run of runs) {
    const extents = source.format.extents(source.storedShape, run.start, run.end);
    const bytes = extents.map(([from, to], part) => {
      const { readSync } = source.parts[part]!;
      if (readSync !== undefined) return readSync(from, to);
      throw new FilesError(
        'BAD_ARGUMENT',
        `tensor ${source.name} of ${source.origin} cannot be read at once; use readRows, or inMemory before`,
      );
    });
    decodeRun(source, run, bytes, values.subarray(done, (done += run.end - run.start)));
  }
  return values;
}

/** The tensor itself where it can be read at once, and else with all its parts in memory. */
export async function inMemory(source: WeightSource): Promise<WeightSource> {
  if (source.parts.every(({ readSync }) => readSync !== undefined)) return source;
  const parts = await Promise.all(source.parts.map(async (part) => memoryBytes(await part.read(0, part.byteLength))));
  return { ...source, parts };
}
