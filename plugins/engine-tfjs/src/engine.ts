import { FilesError, sizeOf, type DType, type Shape } from '@glulam/files';
import {
  argmaxShape,
  broadcastShapes,
  checkRows,
  checkShape,
  checkSize,
  checkTensor,
  checkWrite,
  concatenateShape,
  gatherShape,
  matmulSizes,
  reduceShape,
  reshapeShape,
  scatterAddShape,
  sliceShape,
  Tensor,
  TensorsError,
  transposeShape,
  type Engine,
  type FusedOperations,
  type Precision,
} from '@glulam/tensors';
import type { Device, Operand } from './device.js';
import { overwrite } from './overwrite.js';
import { createWeights, type Weights } from './weights.js';

/** What a tensor and its reshaped views share; `data` is missing where it was not computed because of a failure. */
interface Storage<Data> {
  data: Data | undefined;
  readonly bytes: number;
  views: number;
  /** false: the data is a frozen weight's, which outlives the tensor. */
  owned: boolean;
  /** Of uploaded indices: to check them without asking the backend. */
  readonly indices?: Int32Array;
}

/** What overrides of named operations work with: the engine's tensors as the device's operands. */
export interface Workshop<Data> {
  readonly device: Device<Data>;
  readonly precision: Precision;
  readonly weights: Weights<Data>;
  /** Compute one tensor; the operation is named where it fails. */
  make(operation: string, shape: Shape, dtype: DType, compute: () => Data): Tensor;
  /** The same of several at once. */
  makeMany(operation: string, results: readonly Result[], compute: () => readonly Data[]): Tensor[];
  /** Compute new values for tensors that exist, each of its shape and dtype. */
  renew(operation: string, targets: readonly Tensor[], compute: () => readonly Data[]): void;
  operand(x: Tensor): Operand<Data>;
}

/** What is known of a tensor before it is computed. */
export interface Result {
  readonly shape: Shape;
  readonly dtype: DType;
}

/**
 * The engine's operations on a device. Backends compute when they are asked or behind the call; either way an operation
 * that fails is told by the next `read` or `drain`, and nothing is computed after it.
 */
export function createEngine<Data>(
  device: Device<Data>,
  precision: Precision,
  createFused: (workshop: Workshop<Data>, engine: Engine) => Partial<FusedOperations>,
): Engine {
  let tensors = 0;
  let bytes = 0;
  let closed = false;
  let failure: TensorsError | undefined;
  let told = false;
  const weights = createWeights(device);

  const checkOpen = (what: string): void => {
    if (closed) throw new TensorsError('ENGINE_FAILED', `${what} was asked of an engine that is closed; open another`);
  };
  const tell = (): void => {
    if (failure === undefined) return;
    told = true;
    throw failure;
  };
  const view = (shape: Shape, dtype: DType, storage: Storage<Data>): Tensor => {
    if (storage.views === 0) bytes += storage.bytes;
    storage.views += 1;
    tensors += 1;
    return new Tensor([...shape], dtype, storage, () => {
      tensors -= 1;
      storage.views -= 1;
      if (storage.views > 0) return;
      bytes -= storage.bytes;
      if (storage.owned && storage.data !== undefined && !closed) device.free(storage.data);
    });
  };
  const fail = (operation: string, cause: unknown): void => {
    failure ??= new TensorsError(
      'ENGINE_FAILED',
      `engine-tfjs (${device.description}) failed in ${operation}: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        'What was asked for after it was not computed: open a new engine to go on.',
      { cause },
    );
  };
  /** Nothing is computed after a failure; what it would have been made of may be missing. */
  const attempt = <T>(operation: string, compute: () => T): T | undefined => {
    checkOpen(operation);
    if (failure !== undefined) return undefined;
    try {
      return compute();
    } catch (cause) {
      if (cause instanceof FilesError || (cause instanceof TensorsError && cause.code !== 'ENGINE_FAILED')) throw cause;
      fail(operation, cause);
      return undefined;
    }
  };
  const sizeInBytes = (shape: Shape, dtype: DType): number =>
    sizeOf(shape) * device.bytesPerElement[dtype as 'float32' | 'bfloat16' | 'int32'];
  const make = (operation: string, shape: Shape, dtype: DType, compute: () => Data, indices?: Int32Array): Tensor => {
    const empty = (): Data => device.upload(dtype === 'int32' ? new Int32Array() : new Float32Array(), shape);
    const data = attempt(operation, sizeOf(shape) === 0 ? empty : compute);
    return view(shape, dtype, {
      data,
      bytes: sizeInBytes(shape, dtype),
      views: 0,
      owned: true,
      ...(indices && { indices }),
    });
  };
  const makeMany: Workshop<Data>['makeMany'] = (operation, results, compute) => {
    const data = attempt(operation, compute);
    return results.map(({ shape, dtype }, i) =>
      view(shape, dtype, { data: data?.[i], bytes: sizeInBytes(shape, dtype), views: 0, owned: true }),
    );
  };
  const storageOf = (x: Tensor): Storage<Data> => x.storage as Storage<Data>;
  const operand = (x: Tensor): Operand<Data> => ({ data: storageOf(x).data!, shape: x.shape, dtype: x.dtype });
  const renew: Workshop<Data>['renew'] = (operation, targets, compute) => {
    const data = attempt(operation, compute);
    if (data === undefined) return;
    targets.forEach((target, i) => {
      const storage = storageOf(target);
      const before = storage.data;
      storage.data = data[i]!;
      if (storage.owned && before !== undefined) device.free(before);
      storage.owned = true;
    });
  };
  const zeros = (shape: Shape): Data => device.fill(shape, 0);

  const checkIndices = (indices: Tensor, rows: number): void => {
    const values = storageOf(indices).indices ?? device.peek?.(operand(indices));
    const position = values?.findIndex((index) => index < 0 || index >= rows) ?? -1;
    if (position < 0) return;
    throw new TensorsError(
      'ENGINE_FAILED',
      `got index ${values![position]} at position ${position}; expected indices from 0 and below ${rows}, the number of rows`,
    );
  };

  const workshop: Workshop<Data> = { device, precision, make, makeMany, renew, operand, weights };
  const fused: Partial<FusedOperations> = {};
  const engine: Engine = {
    kind: 'tfjs',
    description: device.description,
    precision,
    fused,

    upload(data, shape) {
      checkSize('upload', data.length, shape);
      const dtype = data instanceof Int32Array ? 'int32' : 'float32';
      const copy = data.slice();
      return make(
        'upload',
        shape,
        dtype,
        () => device.upload(copy, shape),
        dtype === 'int32' ? (copy as Int32Array) : undefined,
      );
    },
    full(shape, value) {
      checkShape('full', shape);
      return make('full', shape, 'float32', () => device.fill(shape, value));
    },
    async read(x) {
      checkOpen('read');
      checkTensor('read', x);
      tell();
      if (x.size === 0) return x.dtype === 'int32' ? new Int32Array() : new Float32Array();
      return device.read(operand(x));
    },
    async drain() {
      checkOpen('drain');
      if (device.settle === undefined) {
        // It computed on this thread: let timers, signals and output in.
        await new Promise((done) => setImmediate(done));
      } else {
        await device.settle().catch((cause: unknown) => fail('work on the device', cause));
      }
      tell();
    },
    memory: () => ({ tensors, bytes }),
    async close() {
      if (closed) return;
      closed = true;
      weights.free();
      device.close();
      if (!told) tell();
    },

    async openWeight(source) {
      checkOpen('openWeight');
      return weights.open(source);
    },
    readWeight(weight, start, end) {
      checkRows('readWeight', weight, start, end);
      const shape = weight.shape.length === 0 ? [] : [end - start, ...weight.shape.slice(1)];
      const isWhole = weight.shape.length === 2 && start === 0 && end === weight.shape[0] && sizeOf(shape) > 0;
      if (!isWhole) {
        return make('readWeight', shape, 'float32', () =>
          device.upload(device.host.readFloats(weights.sourceOf(weight), start, end), shape),
        );
      }
      if (device.weightDtype(weights.sourceOf(weight)) === 'bfloat16') {
        return make('readWeight', shape, 'float32', () => device.toFloat32(weights.whole(weight)));
      }
      const data = attempt('readWeight', () => weights.whole(weight).data);
      return view(shape, 'float32', { data, bytes: sizeInBytes(shape, 'float32'), views: 0, owned: false });
    },

    cast(x, dtype) {
      checkTensor('cast', x, 'float32', 'bfloat16');
      if (dtype !== 'float32' && dtype !== 'bfloat16') {
        throw new TensorsError(
          'DTYPE_MISMATCH',
          `cast: got the dtype ${dtype} to cast to; expected float32 or bfloat16`,
        );
      }
      return make('cast', x.shape, dtype, () => {
        if (x.dtype === dtype)
          return device.slice(
            operand(x),
            x.shape.map(() => 0),
            x.shape,
          );
        return dtype === 'bfloat16' ? device.toBfloat16(operand(x)) : device.toFloat32(operand(x));
      });
    },
    matmul(a, b, { transposeA = false, transposeB = false } = {}) {
      checkTensor('matmul', a, 'float32');
      checkTensor('matmul', b, 'float32');
      const { shape, k } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
      return make('matmul', shape, 'float32', () =>
        k === 0 ? zeros(shape) : device.matmul(operand(a), operand(b), transposeA, transposeB),
      );
    },
    unary(operation, x) {
      checkTensor(operation, x, 'float32');
      return make(operation, x.shape, 'float32', () => device.unary(operation, operand(x)));
    },
    binary(operation, a, b) {
      checkTensor(operation, a, 'float32');
      checkTensor(operation, b, 'float32');
      const shape = broadcastShapes(operation, a.shape, b.shape);
      return make(operation, shape, 'float32', () => device.binary(operation, operand(a), operand(b)));
    },
    affine(x, factor, offset) {
      checkTensor('affine', x, 'float32');
      return make('affine', x.shape, 'float32', () => device.affine(operand(x), factor, offset));
    },
    select(condition, a, b) {
      for (const x of [condition, a, b]) checkTensor('select', x, 'float32');
      const shape = broadcastShapes('select', condition.shape, a.shape, b.shape);
      return make('select', shape, 'float32', () => device.select(operand(condition), operand(a), operand(b), shape));
    },
    reduce(operation, x, axis) {
      checkTensor(`reduce ${operation}`, x, 'float32');
      const shape = reduceShape(operation, x.shape, axis);
      return make(operation, shape, 'float32', () =>
        x.size === 0 ? zeros(shape) : device.reduce(operation, operand(x), axis),
      );
    },
    gather(table, indices) {
      checkTensor('gather', table, 'float32');
      checkTensor('gather', indices, 'int32');
      return make('gather', gatherShape(table.shape, indices.shape), 'float32', () => {
        checkIndices(indices, table.shape[0]!);
        return device.gather(operand(table), operand(indices));
      });
    },
    scatterAdd(indices, values, rows) {
      checkTensor('scatterAdd', indices, 'int32');
      checkTensor('scatterAdd', values, 'float32');
      const shape = scatterAddShape(indices.shape, values.shape, rows);
      return make('scatterAdd', shape, 'float32', () => {
        checkIndices(indices, rows);
        return values.size === 0 ? zeros(shape) : device.scatterAdd(operand(indices), operand(values), rows);
      });
    },
    slice(x, start, size) {
      checkTensor('slice', x);
      const shape = sliceShape(x.shape, start, size);
      return make('slice', shape, x.dtype, () => device.slice(operand(x), start, shape));
    },
    reshape(x, shape) {
      checkTensor('reshape', x);
      return view(reshapeShape(x.shape, shape), x.dtype, storageOf(x));
    },
    transpose(x, permutation) {
      checkTensor('transpose', x, 'float32');
      const shape = transposeShape(x.shape, permutation);
      return make('transpose', shape, 'float32', () => device.transpose(operand(x), permutation));
    },
    concatenate(parts, axis) {
      for (const part of parts) checkTensor('concatenate', part, 'float32');
      const shape = concatenateShape(
        parts.map((part) => part.shape),
        axis,
      );
      return make('concatenate', shape, 'float32', () =>
        device.concatenate(parts.filter(({ size }) => size > 0).map(operand), axis),
      );
    },
    argmax(x) {
      checkTensor('argmax', x, 'float32');
      return make('argmax', argmaxShape(x.shape), 'int32', () => device.argmax(operand(x)));
    },
    write(target, value, start) {
      checkTensor('write', target);
      checkTensor('write', value);
      checkWrite(target, value, start);
      if (value.size === 0) return;
      renew('write', [target], () => [overwrite(device, operand(target), operand(value), start)]);
    },
    random(shape, key) {
      checkShape('random', shape);
      return make('random', shape, 'float32', () => device.upload(device.host.uniforms(sizeOf(shape), key), shape));
    },
  };
  Object.assign(fused, createFused(workshop, engine));
  return engine;
}
