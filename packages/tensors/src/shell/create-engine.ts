import { bytesPerElement, FilesError, sizeOf, type DType, type Shape } from '@glulam/files';
import type { Device, Operand, Result } from '../contract/device.js';
import type { Engine, Precision } from '../contract/engine.js';
import type { Overrides } from '../contract/fused.js';
import { Tensor } from '../contract/tensor.js';
import { TensorsError } from '../errors.js';
import {
  argmaxShape,
  broadcastShapes,
  checkCast,
  checkRows,
  checkShape,
  checkSize,
  checkTensor,
  checkWeight,
  checkWrite,
  concatenateShape,
  gatherShape,
  matmulSizes,
  reduceShape,
  reshapeShape,
  scatterAddShape,
  sliceShape,
  transposeShape,
} from './shapes.js';

/** What a tensor and its reshaped views share; there is no data where it was not computed because of a failure. */
interface Storage<Data> {
  data: Data | undefined;
  readonly bytes: number;
  views: number;
}

/** What overrides of named operations work with: the engine's tensors as the device's operands, and new tensors. */
export interface EngineShell<Data> {
  /** The tensor as kernels see it. Throws DISPOSED where it is freed. */
  operand(x: Tensor): Operand<Data>;
  /** A tensor of what `compute` returns. An error names the operation. */
  make(operation: string, result: Result, compute: () => Data): Tensor;
  /** The same of several tensors at once. */
  makeMany(operation: string, results: readonly Result[], compute: () => readonly Data[]): Tensor[];
  /** Work that makes no tensor of its own, on tensors that exist. Is not done after a failure. */
  run(operation: string, work: () => void): void;
  /** New data for tensors that exist, each of its shape and dtype. */
  renew(operation: string, targets: readonly Tensor[], compute: () => readonly Data[]): void;
}

/** What `createEngine` needs beside the device. */
export interface CreateEngineOptions<Data> {
  /** See `Engine.kind`. */
  readonly kind: string;
  /** See `Engine.precision`. */
  readonly precision: Precision;
  /** The device's overrides of named operations; default: none. */
  readonly createFused?: (shell: EngineShell<Data>, engine: Engine) => Overrides;
}

/**
 * The engine on a device: it checks arguments, finds shapes, counts tensors and bytes, frees data when the last view of it
 * is released, and names the operation that failed. After a failure nothing is computed, and every `read` and `drain` rejects
 * with it; `close` does too, unless one of them has.
 */
export function createEngine<Data>(
  device: Device<Data>,
  { kind, precision, createFused }: CreateEngineOptions<Data>,
): Engine {
  const { kernels } = device;
  const widths = device.bytesPerElement ?? bytesPerElement;
  let tensors = 0;
  let bytes = 0;
  let closed = false;
  let failure: Error | undefined;
  let reported = false;

  const checkOpen = (operation: string): void => {
    if (closed)
      throw new TensorsError('ENGINE_FAILED', `${operation} was asked of an engine that is closed; open another`);
  };
  const reportFailure = (): void => {
    if (failure !== undefined) throw report(failure);
  };
  const report = (error: Error): Error => {
    reported = true;
    return error;
  };
  const fail = (operation: string, cause: unknown): Error =>
    (failure ??=
      cause instanceof FilesError || cause instanceof TensorsError
        ? cause
        : new TensorsError(
            'ENGINE_FAILED',
            `the engine ${kind} (${device.description}) failed in ${operation}: ${cause instanceof Error ? cause.message : String(cause)}. ` +
              'What was asked for after it was not computed: open a new engine to go on.',
            { cause },
          ));
  /** What a caller did wrong is thrown; what went wrong in the device is a failure, which `read` and `drain` report. */
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
  const storageOf = (x: Tensor): Storage<Data> => x.storage as Storage<Data>;
  const view = (shape: Shape, dtype: DType, storage: Storage<Data>): Tensor => {
    if (storage.views === 0) bytes += storage.bytes;
    storage.views += 1;
    tensors += 1;
    return new Tensor([...shape], dtype, storage, () => {
      tensors -= 1;
      storage.views -= 1;
      if (storage.views > 0) return;
      bytes -= storage.bytes;
      if (storage.data !== undefined && !closed) device.free(storage.data);
    });
  };
  const tensorOf = ({ shape, dtype }: Result, data: Data | undefined): Tensor =>
    view(shape, dtype, { data, bytes: sizeOf(shape) * widths[dtype], views: 0 });

  const shell: EngineShell<Data> = {
    operand(x) {
      checkTensor(kind, x);
      // After a failure there may be no data; no kernel is called then.
      return { data: storageOf(x).data as Data, shape: x.shape, dtype: x.dtype };
    },
    make: (operation, result, compute) => tensorOf(result, attempt(operation, compute)),
    makeMany(operation, results, compute) {
      const data = attempt(operation, compute);
      return results.map((result, i) => tensorOf(result, data?.[i]));
    },
    run: (operation, work) => void attempt(operation, work),
    renew(operation, targets, compute) {
      const data = attempt(operation, compute);
      if (data === undefined) return;
      targets.forEach((target, i) => {
        const storage = storageOf(target);
        const before = storage.data;
        storage.data = data[i]!;
        if (before !== undefined && before !== storage.data) device.free(before);
      });
    },
  };
  const { operand, make } = shell;
  /** Run the kernel of this name; `operation` says what it is for, where it is for several. */
  const run = <Name extends keyof typeof kernels>(
    name: Name,
    shape: Shape,
    given: () => Parameters<(typeof kernels)[Name]>[0],
    dtype: DType = 'float32',
    operation: string = name,
  ): Tensor => {
    const result = { shape, dtype };
    const kernel = kernels[name] as (given: Parameters<(typeof kernels)[Name]>[0], result: Result) => Data;
    return make(operation, result, () => kernel(given(), result));
  };

  const fused: Overrides = {};
  const engine: Engine = {
    kind,
    description: device.description,
    precision,
    choice: device.choice,
    ...(device.copies && { copies: device.copies }),
    fused,

    upload(data, shape) {
      checkSize('upload', data.length, shape);
      const dtype = data instanceof Int32Array ? 'int32' : 'float32';
      return make('upload', { shape, dtype }, () => device.upload(data, shape));
    },
    async read(x) {
      checkOpen('read');
      checkTensor('read', x);
      reportFailure();
      return device.read(operand(x)).catch((cause: unknown) => {
        throw report(fail('read', cause));
      });
    },
    async drain() {
      checkOpen('drain');
      await device.drain().catch((cause: unknown) => fail('its queue', cause));
      reportFailure();
    },
    memory: () => ({ tensors, bytes }),
    async close() {
      if (closed) return;
      closed = true;
      await device.close().catch((cause: unknown) => fail('its queue', cause));
      if (!reported) reportFailure();
    },

    async openWeight(source) {
      checkOpen('openWeight');
      checkWeight(source);
      const { name, shape, dtype } = source;
      return { name, shape, dtype, storage: await device.openWeight(source) };
    },
    readWeight(weight, start, end) {
      checkRows('readWeight', weight, start, end);
      const shape = weight.shape.length === 0 ? [] : [end - start, ...weight.shape.slice(1)];
      return run('readWeight', shape, () => ({ weight, start, end }));
    },

    full(shape, value) {
      checkShape('full', shape);
      return run('full', shape, () => ({ value }));
    },
    cast(x, dtype) {
      checkTensor('cast', x, 'float32', 'bfloat16');
      checkCast(dtype);
      return run('cast', x.shape, () => ({ x: operand(x) }), dtype);
    },
    matmul(a, b, { transposeA = false, transposeB = false } = {}) {
      checkTensor('matmul', a, 'float32');
      checkTensor('matmul', b, 'float32');
      const { shape, ...sizes } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
      return run('matmul', shape, () => ({ a: operand(a), b: operand(b), transposeA, transposeB, ...sizes }));
    },
    unary(operation, x) {
      checkTensor(operation, x, 'float32');
      return run('unary', x.shape, () => ({ operation, x: operand(x) }), 'float32', operation);
    },
    binary(operation, a, b) {
      checkTensor(operation, a, 'float32');
      checkTensor(operation, b, 'float32');
      const shape = broadcastShapes(operation, a.shape, b.shape);
      return run('binary', shape, () => ({ operation, a: operand(a), b: operand(b) }), 'float32', operation);
    },
    affine(x, factor, offset) {
      checkTensor('affine', x, 'float32');
      return run('affine', x.shape, () => ({ x: operand(x), factor, offset }));
    },
    select(condition, a, b) {
      for (const x of [condition, a, b]) checkTensor('select', x, 'float32');
      const shape = broadcastShapes('select', condition.shape, a.shape, b.shape);
      return run('select', shape, () => ({ condition: operand(condition), a: operand(a), b: operand(b) }));
    },
    reduce(operation, x, axis) {
      checkTensor(`reduce ${operation}`, x, 'float32');
      const shape = reduceShape(operation, x.shape, axis);
      return run('reduce', shape, () => ({ operation, x: operand(x), axis }), 'float32', `reduce ${operation}`);
    },
    gather(table, indices) {
      checkTensor('gather', table, 'float32');
      checkTensor('gather', indices, 'int32');
      const shape = gatherShape(table.shape, indices.shape);
      return run('gather', shape, () => ({ table: operand(table), indices: operand(indices) }));
    },
    scatterAdd(indices, values, rows) {
      checkTensor('scatterAdd', indices, 'int32');
      checkTensor('scatterAdd', values, 'float32');
      const shape = scatterAddShape(indices.shape, values.shape, rows);
      return run('scatterAdd', shape, () => ({ indices: operand(indices), values: operand(values) }));
    },
    slice(x, start, size) {
      checkTensor('slice', x);
      return run('slice', sliceShape(x.shape, start, size), () => ({ x: operand(x), start }), x.dtype);
    },
    reshape(x, shape) {
      checkTensor('reshape', x);
      return view(reshapeShape(x.shape, shape), x.dtype, storageOf(x));
    },
    transpose(x, permutation) {
      checkTensor('transpose', x);
      return run('transpose', transposeShape(x.shape, permutation), () => ({ x: operand(x), permutation }), x.dtype);
    },
    concatenate(parts, axis) {
      const shape = concatenateShape(
        parts.map((part) => part.shape),
        axis,
      );
      const { dtype } = parts[0]!;
      for (const part of parts) checkTensor('concatenate', part, dtype);
      return run('concatenate', shape, () => ({ parts: parts.map(operand), axis }), dtype);
    },
    argmax(x) {
      checkTensor('argmax', x, 'float32');
      return run('argmax', argmaxShape(x.shape), () => ({ x: operand(x) }), 'int32');
    },
    write(target, value, start) {
      checkTensor('write', target);
      checkTensor('write', value);
      checkWrite(target, value, start);
      if (value.size === 0) return;
      shell.renew('write', [target], () => [device.write(operand(target), operand(value), start)]);
    },
    random(shape, key) {
      checkShape('random', shape);
      return run('random', shape, () => ({ key }));
    },
  };
  if (createFused !== undefined) Object.assign(fused, createFused(shell, engine));
  return engine;
}
