import { checkView, formatShape, sizeOf, type DType, type Shape, type WeightSource } from '@glulam/files';
import type { FrozenWeight } from '../contract/engine.js';
import { TensorsError } from '../errors.js';
import { type Tensor } from '../contract/tensor.js';

// What every engine needs to know before it computes: whether the arguments fit, and the shape of the result. Each
// function throws a TensorsError that names the operation, what it got and what it expected.

/** Whether two shapes have the same rank and lengths; nothing broadcasts. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** By how many elements a step along each axis moves in row-major order. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

/** Strides that walk an array of shape `from` as if it had been broadcast to shape `to`: 0 along repeated axes. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const strides = stridesOf(from);
  const extra = to.length - from.length;
  return to.map((_, axis) => (axis < extra || from[axis - extra] === 1 ? 0 : strides[axis - extra]!));
}

function mismatch(operation: string, got: string, expected: string): TensorsError {
  return new TensorsError('SHAPE_MISMATCH', `${operation}: got ${got}; expected ${expected}`);
}

function isLength(value: number | undefined): value is number {
  return Number.isSafeInteger(value) && value! >= 0;
}

/** A tensor that is alive and of one of these dtypes (any, if none is given). */
export function checkTensor(operation: string, x: Tensor, ...dtypes: readonly DType[]): void {
  if (x.disposed) {
    throw new TensorsError(
      'DISPOSED',
      `${operation}: got a tensor of shape ${formatShape(x.shape)} that was already freed; keep it with retain() or return it from its scope`,
    );
  }
  if (dtypes.length > 0 && !dtypes.includes(x.dtype)) {
    throw new TensorsError(
      'DTYPE_MISMATCH',
      `${operation}: got a ${x.dtype} tensor of shape ${formatShape(x.shape)}; expected ${dtypes.join(' or ')}: cast it first`,
    );
  }
}

/** For `Engine.openWeight`: floats, and no view beyond its stored tensor (`checkView`'s FilesError BAD_ARGUMENT). */
export function checkWeight(source: WeightSource): void {
  if (source.dtype === 'int32')
    throw new TensorsError(
      'DTYPE_MISMATCH',
      `openWeight: ${source.name} holds integers; expected float32, bfloat16 or float16`,
    );
  checkView(source);
}

/** For `Engine.cast`: a dtype that arithmetic reads or activations are kept in. */
export function checkCast(dtype: DType): void {
  if (dtype === 'float32' || dtype === 'bfloat16') return;
  throw new TensorsError('DTYPE_MISMATCH', `cast: got the dtype ${dtype} to cast to; expected float32 or bfloat16`);
}

/** Lengths that are integers from 0. */
export function checkShape(operation: string, shape: Shape): void {
  if (!shape.every(isLength))
    throw mismatch(operation, `the shape ${formatShape(shape)}`, 'lengths that are integers from 0');
}

/** As many values as the shape has elements. */
export function checkSize(operation: string, count: number, shape: Shape): void {
  checkShape(operation, shape);
  if (count !== sizeOf(shape)) {
    throw mismatch(operation, `${count} values for the shape ${formatShape(shape)}`, `${sizeOf(shape)} values`);
  }
}

/** An axis of the shape, counted from 0. Throws SHAPE_MISMATCH otherwise, for negative ones too. */
function checkAxis(operation: string, shape: Shape, axis: number): void {
  if (!isLength(axis) || axis >= shape.length) {
    throw mismatch(
      operation,
      `axis ${axis} of shape ${formatShape(shape)}`,
      `an axis from 0 and below ${shape.length}`,
    );
  }
}

/** A rows' range `[start, end)` that lies in the weight. */
export function checkRows(operation: string, { name, shape }: FrozenWeight, start: number, end: number): void {
  const rows = shape[0] ?? 1;
  if (!isLength(start) || !isLength(end) || start > end || end > rows) {
    throw mismatch(
      operation,
      `rows [${start}, ${end}) of ${name}, shape ${formatShape(shape)}`,
      `0 <= start <= end <= ${rows}`,
    );
  }
}

/** The common shape by NumPy's rules: aligned at the last axis, a length of 1 is repeated. */
export function broadcastShapes(operation: string, ...shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, axis) => {
    const lengths = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const common = lengths.find((length) => length !== 1) ?? 1;
    if (lengths.some((length) => length !== 1 && length !== common)) {
      throw mismatch(
        operation,
        `the shapes ${shapes.map(formatShape).join(' and ')}`,
        'lengths that are equal or 1, aligned at the last axis',
      );
    }
    return common;
  });
}

/** What a product of matrices is, transposed operands already turned: [batch, m, k] x [batch, k, n]. */
export interface MatmulSizes {
  /** The result's: [m, n], or [batch, m, n] for operands with three axes. */
  readonly shape: readonly number[];
  /** 1 for plain matrices. */
  readonly batch: number;
  /** Rows of the left operand and of the result. */
  readonly m: number;
  /** The axis that is summed over. */
  readonly k: number;
  /** Columns of the right operand and of the result. */
  readonly n: number;
}

/** Sizes of a x b for `Engine.matmul`. Throws SHAPE_MISMATCH if ranks, batches or the summed axes differ. */
export function matmulSizes(
  a: Shape,
  b: Shape,
  { transposeA = false, transposeB = false }: { readonly transposeA?: boolean; readonly transposeB?: boolean } = {},
): MatmulSizes {
  const rank = a.length;
  const [m, k] = transposeA ? [a[rank - 1], a[rank - 2]] : [a[rank - 2], a[rank - 1]];
  const [otherK, n] = transposeB ? [b[rank - 1], b[rank - 2]] : [b[rank - 2], b[rank - 1]];
  const batch = rank === 3 ? a[0] : 1;
  if ((rank !== 2 && rank !== 3) || b.length !== rank || k !== otherK || (rank === 3 && b[0] !== batch)) {
    const left = `${formatShape(a)}${transposeA ? ' transposed' : ''}`;
    const right = `${formatShape(b)}${transposeB ? ' transposed' : ''}`;
    throw mismatch('matmul', `${left} x ${right}`, '[m, k] x [k, n] or [b, m, k] x [b, k, n]');
  }
  return {
    shape: rank === 3 ? [batch!, m!, n!] : [m!, n!],
    batch: batch!,
    m: m!,
    k: k!,
    n: n!,
  };
}

/** The axis stays, with length 1. Nothing has no maximum: `max` wants a length of at least 1. */
export function reduceShape(operation: 'sum' | 'max', x: Shape, axis: number): number[] {
  checkAxis(`reduce ${operation}`, x, axis);
  if (operation === 'max' && x[axis] === 0) {
    throw mismatch('reduce max', `shape ${formatShape(x)}, empty along axis ${axis}`, 'a length of at least 1');
  }
  return x.map((length, other) => (other === axis ? 1 : length));
}

/** x without its last axis. Throws SHAPE_MISMATCH for a scalar or an empty last axis. */
export function argmaxShape(x: Shape): number[] {
  if (x.length === 0 || x.at(-1) === 0)
    throw mismatch('argmax', `shape ${formatShape(x)}`, 'a last axis of at least 1');
  return x.slice(0, -1);
}

/** [n, c] for a table [rows, c] and indices [n]. Throws SHAPE_MISMATCH otherwise. */
export function gatherShape(table: Shape, indices: Shape): number[] {
  if (table.length !== 2 || indices.length !== 1) {
    throw mismatch('gather', `a table ${formatShape(table)} and indices ${formatShape(indices)}`, '[rows, c] and [n]');
  }
  return [indices[0]!, table[1]!];
}

/** [rows, c] for indices [n] and values [n, c]. Throws SHAPE_MISMATCH otherwise. */
export function scatterAddShape(indices: Shape, values: Shape, rows: number): number[] {
  if (indices.length !== 1 || values.length !== 2 || values[0] !== indices[0] || !isLength(rows)) {
    throw mismatch(
      'scatterAdd',
      `indices ${formatShape(indices)}, values ${formatShape(values)} and ${rows} rows`,
      '[n], [n, c] and a number of rows from 0',
    );
  }
  return [rows, values[1]!];
}

/** Whether the region of `size` that begins at `start` lies in the shape. */
function checkRegion(operation: string, shape: Shape, start: Shape, size: Shape): void {
  const fits = (length: number, axis: number): boolean =>
    isLength(start[axis]) && isLength(size[axis]) && start[axis] + size[axis] <= length;
  if (start.length !== shape.length || size.length !== shape.length || !shape.every(fits)) {
    throw mismatch(
      operation,
      `the region of size ${formatShape(size)} at ${formatShape(start)} of shape ${formatShape(shape)}`,
      `${shape.length} starts and ${shape.length} sizes, inside the shape`,
    );
  }
}

/** A copy of `size`. Throws SHAPE_MISMATCH if the region at `start` is not inside x. */
export function sliceShape(x: Shape, start: Shape, size: Shape): number[] {
  checkRegion('slice', x, start, size);
  return [...size];
}

/** For `Engine.write`: equal dtypes (else DTYPE_MISMATCH), and a region inside the target (else SHAPE_MISMATCH). */
export function checkWrite(target: Tensor, value: Tensor, start: Shape): void {
  if (value.dtype !== target.dtype) {
    throw new TensorsError(
      'DTYPE_MISMATCH',
      `write: got a ${value.dtype} value for a ${target.dtype} target; expected equal dtypes: cast the value first`,
    );
  }
  checkRegion('write', target.shape, start, value.shape);
}

/** A copy of `shape`. Throws SHAPE_MISMATCH if it has not as many elements as x. */
export function reshapeShape(x: Shape, shape: Shape): number[] {
  checkShape('reshape', shape);
  if (sizeOf(x) !== sizeOf(shape)) {
    throw mismatch(
      'reshape',
      `${formatShape(x)} to ${formatShape(shape)}`,
      `${sizeOf(x)} elements, not ${sizeOf(shape)}`,
    );
  }
  return [...shape];
}

/** Axis i of the result is axis permutation[i] of x. */
export function transposeShape(x: Shape, permutation: readonly number[]): number[] {
  if (permutation.length !== x.length || x.some((_, axis) => !permutation.includes(axis))) {
    throw mismatch(
      'transpose',
      `the permutation ${formatShape(permutation)} of shape ${formatShape(x)}`,
      `each axis below ${x.length} once`,
    );
  }
  return permutation.map((axis) => x[axis]!);
}

/**
 * The first part's shape with the lengths along `axis` added up. Throws SHAPE_MISMATCH for no parts or parts that
 * differ elsewhere.
 */
export function concatenateShape(parts: readonly Shape[], axis: number): number[] {
  const first = parts[0];
  if (first === undefined) throw mismatch('concatenate', 'no parts', 'at least one');
  checkAxis('concatenate', first, axis);
  const same = (part: Shape): boolean =>
    part.length === first.length && part.every((length, other) => other === axis || length === first[other]);
  if (!parts.every(same)) {
    throw mismatch(
      'concatenate',
      `the shapes ${parts.map(formatShape).join(', ')} along axis ${axis}`,
      'equal lengths along the other axes',
    );
  }
  return first.map((length, other) => (other === axis ? parts.reduce((sum, part) => sum + part[axis]!, 0) : length));
}
