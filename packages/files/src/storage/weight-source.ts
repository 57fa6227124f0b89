import { FilesError } from '../errors.js';
import type { DType } from '../numbers/dtype.js';
import { formatShape, sizeOf, type Shape } from '../numbers/shape.js';
import { fileBytes, type ByteSource } from './byte-source.js';
import { isPlain, plainFormats, type StorageFormat } from './storage-format.js';

/**
 * A tensor of a checkpoint: how its values are stored and where. It is all of a stored tensor, or a view of one: some of its
 * rows, its rows in another order, one matrix of a stack. `createWeightSource` makes one; `viewRows`, `orderRows` and
 * `sliceStack` make views.
 */
export interface WeightSource {
  /** The tensor's name in the checkpoint. */
  readonly name: string;
  /** Length of each axis, as it is used. */
  readonly shape: Shape;
  /** What arithmetic sees, the format's. */
  readonly dtype: DType;
  /** How the values are laid out. */
  readonly format: StorageFormat;
  /** The bytes of each of the format's parts. */
  readonly parts: readonly ByteSource[];
  /** Where it comes from, for messages: the path of a file. */
  readonly origin: string;
  /** The shape that is stored. */
  readonly storedShape: Shape;
  /** The first element of the stored tensor, in row-major order, that may belong to it. */
  readonly firstElement: number;
  /** Row i is row `rowOrder[i]` of those that begin at `firstElement`; without it they follow each other. */
  readonly rowOrder?: Int32Array | undefined;
}

/** A whole stored tensor. Throws BAD_ARGUMENT where its parts are not of the format's sizes. */
export function createWeightSource(tensor: {
  readonly name: string;
  readonly shape: Shape;
  readonly format: StorageFormat;
  readonly parts: readonly ByteSource[];
  readonly origin: string;
}): WeightSource {
  const { name, shape, format, parts, origin } = tensor;
  const wrong = (why: string): FilesError =>
    new FilesError('BAD_ARGUMENT', `tensor ${name} of ${origin} cannot be ${format.kind}: ${why}`);
  let sizes: readonly number[];
  try {
    sizes = format.sizes(shape);
  } catch (cause) {
    throw wrong((cause as Error).message);
  }
  if (sizes.length !== parts.length)
    throw wrong(`it has ${parts.length} ${parts.length === 1 ? 'part' : 'parts'}, expected ${format.parts.join(', ')}`);
  for (const [i, size] of sizes.entries()) {
    const { byteLength } = parts[i]!;
    if (byteLength !== size)
      throw wrong(`its ${format.parts[i]!} have ${byteLength} bytes, expected ${size} for ${formatShape(shape)}`);
  }
  return { name, shape, dtype: format.dtype, format, parts, origin, storedShape: shape, firstElement: 0 };
}

/** A tensor that is not quantized, of a file. */
export function plainSource(tensor: {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly file: string;
  readonly byteOffset: number;
}): WeightSource {
  const { name, shape, dtype, file, byteOffset } = tensor;
  const format = plainFormats[dtype];
  const parts = [fileBytes(file, byteOffset, format.sizes(shape)[0]!)];
  return createWeightSource({ name, shape, format, parts, origin: file });
}

/**
 * The source itself, if all of its elements are of its stored tensor. Sources are plain records, which anybody may make.
 *
 * @throws FilesError BAD_ARGUMENT
 */
export function checkView(source: WeightSource): WeightSource {
  const { name, origin, shape, storedShape, firstElement, rowOrder } = source;
  const rows = shape[0] ?? 1;
  const last = rowOrder === undefined ? rows : rowOrder.reduce((most, row) => Math.max(most, row + 1), 0);
  const isOrder = rowOrder === undefined || (rowOrder.length === rows && rowOrder.every((row) => row >= 0));
  const end = firstElement + last * rowSize(source);
  if (isOrder && Number.isSafeInteger(firstElement) && firstElement >= 0 && end <= sizeOf(storedShape)) return source;
  throw new FilesError(
    'BAD_ARGUMENT',
    `tensor ${name} of ${origin} is ${formatShape(shape)} from element ${firstElement} of ${formatShape(storedShape)}` +
      `${isOrder ? ', which has no such elements' : `, with an order of ${rowOrder.length} rows`}; make views with viewRows, orderRows and sliceStack`,
  );
}

const rowSize = ({ shape }: WeightSource): number => sizeOf(shape.slice(1));

/** Rows `[start, end)` along the first axis. Throws BAD_ARGUMENT for rows that there are not. */
export function viewRows(source: WeightSource, start: number, end: number): WeightSource {
  checkRowRange(source, start, end);
  const shape = [end - start, ...source.shape.slice(1)];
  if (source.rowOrder !== undefined) return { ...source, shape, rowOrder: source.rowOrder.slice(start, end) };
  return { ...source, shape, firstElement: source.firstElement + start * rowSize(source) };
}

/** All rows in another order: row i of the view is row `order[i]`. Throws BAD_ARGUMENT where this is no permutation. */
export function orderRows(source: WeightSource, order: ArrayLike<number>): WeightSource {
  const rows = source.shape[0] ?? 1;
  if (order.length !== rows || new Set(Array.from(order)).size !== rows)
    throw new FilesError(
      'BAD_ARGUMENT',
      `tensor ${source.name} of ${source.origin} has ${rows} rows; the order given is not a permutation of them`,
    );
  for (let i = 0; i < rows; i++) checkRowRange(source, order[i]!, order[i]! + 1);
  const before = source.rowOrder;
  return { ...source, rowOrder: Int32Array.from(order, (row) => (before === undefined ? row : before[row]!)) };
}

/** One tensor of a stack: the one at `index` along the first axis. Throws BAD_ARGUMENT where there is none. */
export function sliceStack(source: WeightSource, index: number): WeightSource {
  checkRowRange(source, index, index + 1);
  const place = source.rowOrder === undefined ? index : source.rowOrder[index]!;
  const firstElement = source.firstElement + place * rowSize(source);
  return { ...source, shape: source.shape.slice(1), firstElement, rowOrder: undefined };
}

/** Throws BAD_ARGUMENT where the tensor has no rows `[start, end)`; a scalar is one row. */
export function checkRowRange({ name, origin, shape }: WeightSource, start: number, end: number): void {
  const rows = shape[0] ?? 1;
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= rows) return;
  throw new FilesError(
    'BAD_ARGUMENT',
    `rows [${start}, ${end}) of tensor ${name} of ${origin} were asked for; it has ${rows}`,
  );
}

/** Elements `[start, end)` of the stored tensor. */
interface ElementRun {
  /** The first one. */
  readonly start: number;
  /** The first one after them. */
  readonly end: number;
}

/** Where rows `[start, end)` lie in the stored tensor, in their order: as few runs as there are breaks between rows. */
export function runsOf(source: WeightSource, start: number, end: number): ElementRun[] {
  const { firstElement, rowOrder } = source;
  const size = rowSize(source);
  if (rowOrder === undefined)
    return start === end ? [] : [{ start: firstElement + start * size, end: firstElement + end * size }];
  const runs: ElementRun[] = [];
  for (let row = start; row < end;) {
    let next = row + 1;
    while (next < end && rowOrder[next] === rowOrder[next - 1]! + 1) next++;
    const begin = firstElement + rowOrder[row]! * size;
    runs.push({ start: begin, end: begin + (next - row) * size });
    row = next;
  }
  return runs;
}

/** A stretch of a file that holds a tensor, or a part of one. */
export interface FilePart {
  /** Path of the file. */
  readonly path: string;
  /** Where it begins. */
  readonly byteOffset: number;
  /** How many bytes it has. */
  readonly byteLength: number;
}

/** Throws FILE_UNREADABLE where the stretch of a file that belongs to a tensor is not within the file's bytes. */
export function checkFilePart({ name, shape, format }: WeightSource, part: FilePart, fileBytes: number): void {
  const { path, byteOffset, byteLength } = part;
  if (byteOffset >= 0 && byteOffset + byteLength <= fileBytes) return;
  throw new FilesError(
    'FILE_UNREADABLE',
    `${name}, ${formatShape(shape)} of ${format.kind}, should be at bytes ${byteOffset} to ${byteOffset + byteLength} of ${path}, ` +
      `which has ${fileBytes}: the file is cut short or is another one; get it again`,
  );
}

/**
 * The bytes of a file that are the elements of a tensor one after the other, if it is stored so; undefined otherwise. Throws
 * as `checkView` does.
 */
export function plainBytes(source: WeightSource): FilePart | undefined {
  const { format, parts, shape, firstElement, rowOrder } = source;
  const file = parts[0]?.file;
  if (!isPlain(format) || file === undefined || rowOrder !== undefined) return undefined;
  checkView(source);
  const [[start, end]] = format.extents(shape, firstElement, firstElement + sizeOf(shape)) as [
    readonly [number, number],
  ];
  return { path: file.path, byteOffset: file.byteOffset + start, byteLength: end - start };
}
