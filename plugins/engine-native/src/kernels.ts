import { sizeOf, type DType, type Shape } from '@glulam/files';
import { broadcastStrides, stridesOf, type Device, type Kernels, type Operand, type Result } from '@glulam/tensors';
import type { CommandArguments, CommandName } from './commands/layouts.js';

/** Who takes commands, in order: the worker, or a plan that only counts. */
export interface Commander<Data> {
  /** What the next command that has it as an operand makes. */
  allocate(result: Result): Data;
  /** `dataOf`: what operands are, where they are not data already. */
  run<Name extends CommandName, Operands = Data>(
    name: Name,
    given: CommandArguments<Name, Operands>,
    options?: {
      readonly payload?: Float32Array | Int32Array | undefined;
      readonly dataOf?: (operand: Operands) => Data;
    },
  ): void;
}

/** For operands that are data already. */
export const itself = <Operands, Data>(operand: Operands): Data => operand as unknown as Data;

const offsetOf = (start: Shape, strides: readonly number[]): number =>
  start.reduce((sum, first, axis) => sum + first * strides[axis]!, 0);

/** The engine's kernels as commands. A weight's storage is data too. */
export function createKernels<Data>(commander: Commander<Data>): Kernels<Data> {
  const { run } = commander;
  /** New data of the result's shape and dtype, by one command. */
  const make = (result: Result, command: (y: Data) => void): Data => {
    const y = commander.allocate(result);
    command(y);
    return y;
  };
  const elements = ({ shape }: Result): number => sizeOf(shape);
  const pick = (
    name: 'slice' | 'transpose',
    x: Operand<Data>,
    strides: readonly number[],
    offset: number,
    result: Result,
  ): Data =>
    make(result, (y) => run(name, { y, x: x.data, shape: result.shape, strides, offset, available: elements(x) }));

  return {
    full: ({ value }, result) => make(result, (y) => run('full', { y, elements: elements(result), value })),
    cast: ({ x }, result) =>
      make(result, (y) =>
        run('cast', { y, x: x.data, type: result.dtype, elements: elements(x), available: elements(x), first: 0 }),
      ),
    matmul: ({ a, b, batch, m, n, k, transposeA, transposeB }, result) =>
      make(result, (c) =>
        run('matmul', {
          c,
          a: a.data,
          b: b.data,
          batch,
          m,
          n,
          k,
          transposeA,
          transposeB,
          alpha: 1,
          beta: 0,
          bfloat16: false,
          type: result.dtype,
          exists: false,
          offset: 0,
          elements: elements(result),
        }),
      ),
    unary: ({ operation, x }, result) =>
      make(result, (y) => run('unary', { y, x: x.data, operation, elements: elements(x) })),
    binary: ({ operation, a, b }, result) =>
      make(result, (y) => {
        const walk = binaryWalk(a.shape, b.shape, result.shape);
        run('binary', {
          y,
          a: a.data,
          b: b.data,
          operation,
          elementsOfA: elements(a),
          elementsOfB: elements(b),
          shape: walk.shape,
          stridesOfA: walk.stridesOfA,
          stridesOfB: walk.stridesOfB,
        });
      }),
    affine: ({ x, factor, offset }, result) =>
      make(result, (y) => run('affine', { y, x: x.data, elements: elements(x), factor, offset })),
    select: ({ condition, a, b }, result) =>
      make(result, (y) => {
        const strides = (x: Operand<Data>): number[] => broadcastStrides(x.shape, result.shape);
        run('select', {
          y,
          condition: condition.data,
          a: a.data,
          b: b.data,
          shape: result.shape,
          elementsOfCondition: elements(condition),
          elementsOfA: elements(a),
          elementsOfB: elements(b),
          stridesOfCondition: strides(condition),
          stridesOfA: strides(a),
          stridesOfB: strides(b),
        });
      }),
    reduce: ({ operation, x, axis }, result) =>
      make(result, (y) => {
        const [outer, inner] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)].map(sizeOf) as [number, number];
        run('reduce', { y, x: x.data, operation, outer, length: x.shape[axis]!, inner });
      }),
    gather: ({ table, indices }, result) =>
      make(result, (y) => {
        const [rows, width] = table.shape as [number, number];
        run('gather', { y, table: table.data, indices: indices.data, rows, width, count: elements(indices) });
      }),
    scatterAdd: ({ indices, values }, result) =>
      make(result, (y) => {
        const [rows, width] = result.shape as [number, number];
        run('scatterAdd', { y, indices: indices.data, values: values.data, rows, width, count: elements(indices) });
      }),
    slice({ x, start }, result) {
      const strides = stridesOf(x.shape);
      return pick('slice', x, strides, offsetOf(start, strides), result);
    },
    transpose({ x, permutation }, result) {
      const strides = stridesOf(x.shape);
      return pick(
        'transpose',
        x,
        permutation.map((axis) => strides[axis]!),
        0,
        result,
      );
    },
    concatenate: ({ parts, axis }, result) =>
      make(result, (y) => {
        run('empty', { y, type: result.dtype, elements: elements(result) });
        let position = 0;
        for (const part of parts) {
          const start = result.shape.map((_, other) => (other === axis ? position : 0));
          put(commander, 'concatenate', { ...result, data: y }, part, start);
          position += part.shape[axis]!;
        }
      }),
    argmax: ({ x }, result) =>
      make(result, (y) => run('argmax', { y, x: x.data, rows: elements(result), columns: x.shape.at(-1)! })),
    random: ({ key }, result) => make(result, (y) => run('random', { y, elements: elements(result), key })),
    readWeight: ({ weight, start }, result) =>
      make(result, (y) =>
        run('readWeight', {
          y,
          x: weight.storage as Data,
          type: result.dtype,
          elements: elements(result),
          available: sizeOf(weight.shape),
          first: start * sizeOf(weight.shape.slice(1)),
        }),
      ),
  };
}

/** Overwrites in place: the target's data stays. */
export const createWrite =
  <Data>(commander: Commander<Data>): Device<Data>['write'] =>
  (target, value, start) => {
    put(commander, 'write', target, value, start);
    return target.data;
  };

function put<Data>(
  { run }: Commander<Data>,
  name: 'concatenate' | 'write',
  target: Operand<Data>,
  value: Operand<Data>,
  start: Shape,
): void {
  const strides = stridesOf(target.shape);
  const offset = offsetOf(start, strides);
  run(name, {
    target: target.data,
    value: value.data,
    shape: value.shape,
    strides,
    offset,
    available: sizeOf(target.shape),
  });
}

/** Operands of one shape are walked as one axis. */
function binaryWalk(a: Shape, b: Shape, result: Shape) {
  const alike = a.length === b.length && a.every((length, axis) => length === b[axis]);
  return alike
    ? { shape: [sizeOf(a)], stridesOfA: [1], stridesOfB: [1] }
    : { shape: result, stridesOfA: broadcastStrides(a, result), stridesOfB: broadcastStrides(b, result) };
}

/** Elements of a weight that are decoded at a time. */
const copiedElements = 2 ** 20;

interface CopyOptions {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The values of some rows of it. */
  readonly read: (start: number, end: number) => Promise<Float32Array> | Float32Array;
}

/** Fill the storage of a weight, in its dtype, with values that `read` decodes some rows at a time. */
export async function copyWeight<Data>(
  commander: Commander<Data>,
  { upload, free }: Pick<Device<Data>, 'upload' | 'free'>,
  weight: Data,
  { shape, dtype, read }: CopyOptions,
): Promise<void> {
  const { run } = commander;
  const size = sizeOf(shape);
  const rows = shape[0] ?? 1;
  const step = Math.max(1, Math.floor((copiedElements * rows) / Math.max(1, size)));
  run('empty', { y: weight, type: dtype, elements: size });
  for (let start = 0; start < rows; start += step) {
    const values = await read(start, Math.min(rows, start + step));
    const elements = values.length;
    const wide = upload(values, [elements]);
    const narrow = dtype === 'float32' ? undefined : commander.allocate({ shape: [elements], dtype });
    if (narrow !== undefined) run('cast', { y: narrow, x: wide, type: dtype, elements, available: elements, first: 0 });
    run('write', {
      target: weight,
      value: narrow ?? wide,
      shape: [elements],
      strides: [1],
      offset: (start * size) / rows,
      available: size,
    });
    free(wide);
    if (narrow !== undefined) free(narrow);
  }
}
