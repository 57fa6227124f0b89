import { availableParallelism } from 'node:os';
import { sizeOf, type DType } from '@glulam/files';
import {
  argmaxShape,
  broadcastShapes,
  broadcastStrides,
  checkRows,
  checkShape,
  checkTensor,
  checkWrite,
  concatenateShape,
  gatherShape,
  matmulSizes,
  reduceShape,
  reshapeShape,
  sameShape,
  scatterAddShape,
  sliceShape,
  stridesOf,
  TensorsError,
  transposeShape,
  type BinaryOperation,
  type Engine,
  type Precision,
  type Reduction,
  type Tensor,
  type UnaryOperation,
} from '@glulam/tensors';
import { findAddon, type Isa, type NativeStats } from './addon.js';
import { createDevice, typeNumber, type Device } from './device.js';
import { createFused } from './fused/fused.js';
import { isaOfEnvironment } from './isa-of-environment.js';
import { checkIsa, choiceText, describeChoice, onlyOn, readChoice } from './kernel-choice.js';
import { machineChoice } from './machine-choice.js';
import { product } from './product.js';

// In the order of native/kernels.h.
const unaries: readonly UnaryOperation[] = ['neg', 'exp', 'log', 'sqrt', 'rsqrt', 'sigmoid'];
const binaries: readonly BinaryOperation[] = ['add', 'sub', 'mul', 'div', 'max', 'greaterEqual'];
const reductions: readonly Reduction[] = ['sum', 'max'];

export interface NativeEngineOptions {
  readonly precision?: Precision | undefined;
  /** Threads that compute; default: as many as the machine has for this process. */
  readonly threads?: number | undefined;
  /** One instruction set for everything; `auto` (default): GLULAM_ISA's, or for each kind of work the fastest one here. */
  readonly isa?: Isa | 'auto' | undefined;
  /** An earlier engine's `choice`, which `auto` takes if this machine can, so that sums are the same bit for bit. */
  readonly choice?: string | undefined;
}

export interface NativeEngine extends Engine {
  /** Bytes on the native side, caches and mapped files included. */
  stats(): NativeStats;
}

/**
 * The engine on C++ kernels. One thread runs commands in order, with `threads` that compute; a failed command is the
 * last that ran: `read` and `drain` reject from then on, and only `close` is left to do.
 *
 * @throws TensorsError ENGINE_UNAVAILABLE when the addon cannot be built or the machine lacks `isa`.
 */
export function createNativeEngine(options: NativeEngineOptions = {}): NativeEngine {
  const { precision = 'float32', threads = availableParallelism(), choice: earlier } = options;
  const isa = options.isa === undefined || options.isa === 'auto' ? isaOfEnvironment() : options.isa;
  const { addon, version } = findAddon();
  const recorded = earlier === undefined ? undefined : readChoice(earlier, addon.isas);
  const choice =
    isa === 'auto' ? (recorded ?? machineChoice(addon, version).choice) : onlyOn(checkIsa(isa, addon.isas));
  const device = createDevice(addon, choice, threads, precision);
  const description = `native, ${describeChoice(choice)}, ${threads} thread${threads === 1 ? '' : 's'}`;
  return { ...engineOn(device, description), choice: choiceText(choice), stats: device.stats };
}

/** The engine's operations as commands of a device: the worker, or one that only counts. */
export function engineOn(device: Device, description: string): Engine {
  const { make, run, precision } = device;

  /** Contiguous elements of `x` picked by strides, as a tensor of `size`. */
  const pick = (
    operation: string,
    x: Tensor,
    size: readonly number[],
    strides: readonly number[],
    offset: number,
  ): Tensor => {
    const y = make(size, x.dtype);
    run(operation, [y, x], [size.length, ...size, ...strides, offset, x.size]);
    return y;
  };
  const offsetOf = (start: readonly number[], strides: readonly number[]): number =>
    start.reduce((sum, first, axis) => sum + first * strides[axis]!, 0);
  const put = (operation: string, target: Tensor, value: Tensor, start: readonly number[]): void => {
    const strides = stridesOf(target.shape);
    run(
      operation,
      [target, value],
      [value.shape.length, ...value.shape, ...strides, offsetOf(start, strides), target.size],
    );
  };

  return {
    kind: 'native',
    description,
    precision,
    fused: createFused(device),
    upload: device.upload,
    read: device.read,
    drain: device.drain,
    memory: device.memory,
    close: device.close,
    openWeight: device.openWeight,
    copies: device.copies,

    full(shape, value) {
      checkShape('full', shape);
      const y = make(shape);
      run('full', [y], [typeNumber('float32'), y.size, value]);
      return y;
    },
    readWeight(weight, start, end) {
      checkRows('readWeight', weight, start, end);
      const rest = weight.shape.slice(1);
      const y = make(weight.shape.length === 0 ? [] : [end - start, ...rest]);
      run('readWeight', [y, weight], [typeNumber('float32'), y.size, sizeOf(weight.shape), start * sizeOf(rest)]);
      return y;
    },
    cast(x, dtype) {
      checkTensor('cast', x, 'float32', 'bfloat16');
      checkCast(dtype);
      const y = make(x.shape, dtype);
      run('cast', [y, x], [typeNumber(dtype), y.size, y.size, 0]);
      return y;
    },
    matmul(a, b, options = {}) {
      checkTensor('matmul', a, 'float32');
      checkTensor('matmul', b, 'float32');
      const { shape, ...sizes } = matmulSizes(a.shape, b.shape, options);
      const y = make(shape);
      product(device, 'matmul', y, a, b, { ...sizes, ...options });
      return y;
    },
    unary(operation, x) {
      checkTensor(operation, x, 'float32');
      const y = make(x.shape);
      run('unary', [y, x], [unaries.indexOf(operation), y.size]);
      return y;
    },
    binary(operation, a, b) {
      checkTensor(operation, a, 'float32');
      checkTensor(operation, b, 'float32');
      const number = binaries.indexOf(operation);
      if (sameShape(a.shape, b.shape)) {
        const y = make(a.shape);
        run('binary', [y, a, b], [number, a.size, a.size, 1, a.size, 1, 1]);
        return y;
      }
      const shape = broadcastShapes(operation, a.shape, b.shape);
      const y = make(shape);
      const strides = [a, b].flatMap((operand) => broadcastStrides(operand.shape, shape));
      run('binary', [y, a, b], [number, a.size, b.size, shape.length, ...shape, ...strides]);
      return y;
    },
    affine(x, factor, offset) {
      checkTensor('affine', x, 'float32');
      const y = make(x.shape);
      run('affine', [y, x], [y.size, factor, offset]);
      return y;
    },
    select(condition, a, b) {
      const operands = [condition, a, b];
      for (const operand of operands) checkTensor('select', operand, 'float32');
      const shape = broadcastShapes('select', ...operands.map((operand) => operand.shape));
      const y = make(shape);
      const strides = operands.flatMap((operand) => broadcastStrides(operand.shape, shape));
      run('select', [y, ...operands], [...operands.map(({ size }) => size), shape.length, ...shape, ...strides]);
      return y;
    },
    reduce(operation, x, axis) {
      checkTensor(operation, x, 'float32');
      const y = make(reduceShape(operation, x.shape, axis));
      const [outer, inner] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)].map(sizeOf) as [number, number];
      run('reduce', [y, x], [reductions.indexOf(operation), outer, x.shape[axis]!, inner]);
      return y;
    },
    gather(table, indices) {
      checkTensor('gather', table, 'float32');
      checkTensor('gather', indices, 'int32');
      const y = make(gatherShape(table.shape, indices.shape));
      const [rows, width] = table.shape as [number, number];
      run('gather', [y, table, indices], [rows, width, indices.size]);
      return y;
    },
    scatterAdd(indices, values, rows) {
      checkTensor('scatterAdd', values, 'float32');
      checkTensor('scatterAdd', indices, 'int32');
      const y = make(scatterAddShape(indices.shape, values.shape, rows));
      run('scatterAdd', [y, indices, values], [rows, values.shape[1]!, indices.size]);
      return y;
    },
    slice(x, start, size) {
      checkTensor('slice', x);
      const shape = sliceShape(x.shape, start, size);
      const strides = stridesOf(x.shape);
      return pick('slice', x, shape, strides, offsetOf(start, strides));
    },
    reshape(x, shape) {
      checkTensor('reshape', x);
      return device.view(x, reshapeShape(x.shape, shape));
    },
    transpose(x, permutation) {
      checkTensor('transpose', x);
      const strides = stridesOf(x.shape);
      const shape = transposeShape(x.shape, permutation);
      return pick(
        'transpose',
        x,
        shape,
        permutation.map((axis) => strides[axis]!),
        0,
      );
    },
    concatenate(parts, axis) {
      const shape = concatenateShape(
        parts.map((part) => part.shape),
        axis,
      );
      const { dtype } = parts[0]!;
      for (const part of parts) checkTensor('concatenate', part, dtype);
      const y = make(shape, dtype);
      run('empty', [y], [typeNumber(dtype), y.size]);
      let position = 0;
      for (const part of parts) {
        put(
          'concatenate',
          y,
          part,
          shape.map((_, other) => (other === axis ? position : 0)),
        );
        position += part.shape[axis]!;
      }
      return y;
    },
    argmax(x) {
      checkTensor('argmax', x, 'float32');
      const y = make(argmaxShape(x.shape), 'int32');
      run('argmax', [y, x], [y.size, x.shape.at(-1)!]);
      return y;
    },
    write(target, value, start) {
      checkTensor('write', target);
      checkTensor('write', value);
      checkWrite(target, value, start);
      put('write', target, value, start);
    },
    random(shape, key) {
      checkShape('random', shape);
      const y = make(shape);
      run('random', [y], [y.size, ...key]);
      return y;
    },
  };
}

function checkCast(dtype: DType): void {
  if (dtype === 'float32' || dtype === 'bfloat16') return;
  throw new TensorsError('DTYPE_MISMATCH', `cast: got the dtype ${dtype} to cast to; expected float32 or bfloat16`);
}
