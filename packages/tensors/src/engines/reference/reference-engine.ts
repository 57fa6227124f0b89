import {
  fromBfloat16Bits,
  inMemory,
  readFloats,
  sizeOf,
  toBfloat16Bits,
  type DType,
  type Shape,
  type WeightSource,
} from '@glulam/files';
import type { BinaryOperation, Engine, Precision, UnaryOperation } from '../../contract/engine.js';
import { TensorsError } from '../../errors.js';
import { uniforms } from '../../contract/philox.js';
import { broadcastValues, offsetsOf, pick, place, regionOf, type Values } from './reference-strides.js';
import {
  argmaxShape,
  broadcastShapes,
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
  stridesOf,
  transposeShape,
} from '../../shell/shapes.js';
import { Tensor } from '../../contract/tensor.js';

/** One array; a tensor and its reshaped views share it. */
interface Storage {
  readonly values: Values;
  handles: number;
}

const unaryFunctions: Readonly<Record<UnaryOperation, (x: number) => number>> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

const binaryFunctions: Readonly<Record<BinaryOperation, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  greaterEqual: (a, b) => (a >= b ? 1 : 0),
};

/**
 * The engine that others are measured with: plain TypeScript, one thread, computed at once, slow and obvious. Values are
 * stored in float32, each operation computes in double and rounds its result once.
 */
export function createReferenceEngine({ precision = 'float32' }: { readonly precision?: Precision } = {}): Engine {
  let tensors = 0;
  let bytes = 0;
  let failure: TensorsError | undefined;

  const handle = (shape: Shape, dtype: DType, storage: Storage): Tensor => {
    tensors += 1;
    storage.handles += 1;
    return new Tensor(shape, dtype, storage, () => {
      tensors -= 1;
      storage.handles -= 1;
      if (storage.handles === 0) bytes -= storage.values.byteLength;
    });
  };
  const store = (shape: Shape, dtype: DType, values: Values): Tensor => {
    bytes += values.byteLength;
    return handle(shape, dtype, { values, handles: 0 });
  };
  const floats = (shape: Shape, valueAt: (i: number) => number): Tensor => {
    const values = new Float32Array(sizeOf(shape));
    for (let i = 0; i < values.length; i++) values[i] = valueAt(i);
    return store(shape, 'float32', values);
  };
  const valuesOf = <V extends Values = Float32Array>(x: Tensor): V => (x.storage as Storage).values as V;

  /** An index that is out of range is found only when values are looked at, so it is told as a failed command is. */
  const checkIndices = (operation: string, indices: Int32Array, rows: number): boolean => {
    const position = indices.findIndex((index) => index < 0 || index >= rows);
    if (position < 0) return true;
    failure ??= new TensorsError(
      'ENGINE_FAILED',
      `${operation}: got index ${indices[position]} at position ${position}; expected indices from 0 and below ${rows}, the number of rows`,
    );
    return false;
  };
  const checkFailure = (): void => {
    if (failure !== undefined) throw failure;
  };

  return {
    kind: 'reference',
    description: 'plain TypeScript, one thread',
    precision,
    fused: {},

    upload(data, shape) {
      checkSize('upload', data.length, shape);
      return store([...shape], data instanceof Int32Array ? 'int32' : 'float32', data.slice());
    },
    full(shape, value) {
      checkShape('full', shape);
      return floats([...shape], () => value);
    },
    async read(x) {
      checkTensor('read', x);
      checkFailure();
      if (x.dtype === 'bfloat16') return Float32Array.from(valuesOf<Uint16Array>(x), fromBfloat16Bits);
      return valuesOf<Float32Array | Int32Array>(x).slice();
    },
    async drain() {
      checkFailure();
    },
    memory: () => ({ tensors, bytes }),
    close: () => Promise.resolve(),

    async openWeight(source) {
      checkWeight(source);
      const { name, shape, dtype } = source;
      return { name, shape, dtype, storage: await inMemory(source) };
    },
    readWeight(weight, start, end) {
      checkRows('readWeight', weight, start, end);
      const shape = weight.shape.length === 0 ? [] : [end - start, ...weight.shape.slice(1)];
      return store(shape, 'float32', readFloats(weight.storage as WeightSource, start, end));
    },

    cast(x, dtype) {
      checkTensor('cast', x, 'float32', 'bfloat16');
      if (dtype !== 'float32' && dtype !== 'bfloat16') {
        throw new TensorsError(
          'DTYPE_MISMATCH',
          `cast: got the dtype ${dtype} to cast to; expected float32 or bfloat16`,
        );
      }
      if (x.dtype === dtype) return store(x.shape, dtype, valuesOf<Values>(x).slice());
      return dtype === 'bfloat16'
        ? store(x.shape, dtype, Uint16Array.from(valuesOf(x), toBfloat16Bits))
        : store(x.shape, dtype, Float32Array.from(valuesOf<Uint16Array>(x), fromBfloat16Bits));
    },
    matmul(a, b, options = {}) {
      checkTensor('matmul', a, 'float32');
      checkTensor('matmul', b, 'float32');
      const { shape, batch, m, k, n } = matmulSizes(a.shape, b.shape, options);
      const [left, right] = [valuesOf(a), valuesOf(b)];
      const [leftRow, leftStep] = options.transposeA ? [1, m] : [k, 1];
      const [rightStep, rightColumn] = options.transposeB ? [1, k] : [n, 1];
      const values = new Float32Array(batch * m * n);
      for (let matrix = 0, at = 0; matrix < batch; matrix++) {
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++, at++) {
            let sum = 0;
            let l = matrix * m * k + i * leftRow;
            let r = matrix * k * n + j * rightColumn;
            for (let step = 0; step < k; step++, l += leftStep, r += rightStep) sum += left[l]! * right[r]!;
            values[at] = sum;
          }
        }
      }
      return store(shape, 'float32', values);
    },
    unary(operation, x) {
      checkTensor(operation, x, 'float32');
      return store(x.shape, 'float32', valuesOf(x).map(unaryFunctions[operation]));
    },
    binary(operation, a, b) {
      checkTensor(operation, a, 'float32');
      checkTensor(operation, b, 'float32');
      const shape = broadcastShapes(operation, a.shape, b.shape);
      const [left, right] = [
        broadcastValues(valuesOf(a), a.shape, shape),
        broadcastValues(valuesOf(b), b.shape, shape),
      ];
      const compute = binaryFunctions[operation];
      return floats(shape, (i) => compute(left[i]!, right[i]!));
    },
    affine(x, factor, offset) {
      checkTensor('affine', x, 'float32');
      const values = valuesOf(x);
      return floats(x.shape, (i) => factor * values[i]! + offset);
    },
    select(condition, a, b) {
      for (const x of [condition, a, b]) checkTensor('select', x, 'float32');
      const shape = broadcastShapes('select', condition.shape, a.shape, b.shape);
      const [test, yes, no] = [condition, a, b].map((x) => broadcastValues(valuesOf(x), x.shape, shape));
      return floats(shape, (i) => (test![i] !== 0 ? yes![i]! : no![i]!));
    },
    reduce(operation, x, axis) {
      checkTensor(`reduce ${operation}`, x, 'float32');
      const shape = reduceShape(operation, x.shape, axis);
      const [values, strides, length] = [valuesOf(x), stridesOf(x.shape), x.shape[axis]!];
      const firsts = offsetsOf(shape, strides);
      const accumulate = operation === 'sum' ? binaryFunctions.add : binaryFunctions.max;
      return floats(shape, (i) => {
        let result = operation === 'sum' ? 0 : -Infinity;
        for (let j = 0; j < length; j++) result = accumulate(result, values[firsts[i]! + j * strides[axis]!]!);
        return result;
      });
    },
    gather(table, indices) {
      checkTensor('gather', table, 'float32');
      checkTensor('gather', indices, 'int32');
      const shape = gatherShape(table.shape, indices.shape);
      const [rows, columns] = table.shape as [number, number];
      const [values, picks] = [valuesOf(table), valuesOf<Int32Array>(indices)];
      if (!checkIndices('gather', picks, rows)) return floats(shape, () => 0);
      return floats(shape, (i) => values[picks[Math.floor(i / columns)]! * columns + (i % columns)]!);
    },
    scatterAdd(indices, values, rows) {
      checkTensor('scatterAdd', indices, 'int32');
      checkTensor('scatterAdd', values, 'float32');
      const shape = scatterAddShape(indices.shape, values.shape, rows);
      const [places, added, columns] = [valuesOf<Int32Array>(indices), valuesOf(values), values.shape[1]!];
      const sums = new Float64Array(sizeOf(shape));
      if (checkIndices('scatterAdd', places, rows)) {
        added.forEach((value, i) => {
          sums[places[Math.floor(i / columns)]! * columns + (i % columns)]! += value;
        });
      }
      return floats(shape, (i) => sums[i]!);
    },
    slice(x, start, size) {
      checkTensor('slice', x);
      const shape = sliceShape(x.shape, start, size);
      return store(shape, x.dtype, pick(valuesOf<Values>(x), regionOf(x.shape, start, shape)));
    },
    reshape(x, shape) {
      checkTensor('reshape', x);
      return handle(reshapeShape(x.shape, shape), x.dtype, x.storage as Storage);
    },
    transpose(x, permutation) {
      checkTensor('transpose', x, 'float32');
      const shape = transposeShape(x.shape, permutation);
      const strides = stridesOf(x.shape);
      return store(
        shape,
        x.dtype,
        pick(
          valuesOf(x),
          offsetsOf(
            shape,
            permutation.map((axis) => strides[axis]!),
          ),
        ),
      );
    },
    concatenate(parts, axis) {
      for (const part of parts) checkTensor('concatenate', part, 'float32');
      const shape = concatenateShape(
        parts.map((part) => part.shape),
        axis,
      );
      const values = new Float32Array(sizeOf(shape));
      let done = 0;
      for (const part of parts) {
        const start = shape.map((_, other) => (other === axis ? done : 0));
        place(values, regionOf(shape, start, part.shape), valuesOf(part));
        done += part.shape[axis]!;
      }
      return store(shape, 'float32', values);
    },
    argmax(x) {
      checkTensor('argmax', x, 'float32');
      const shape = argmaxShape(x.shape);
      const [values, length] = [valuesOf(x), x.shape.at(-1)!];
      const best = Int32Array.from({ length: sizeOf(shape) }, (_, row) => {
        let winner = 0;
        for (let j = 1; j < length; j++) if (values[row * length + j]! > values[row * length + winner]!) winner = j;
        return winner;
      });
      return store(shape, 'int32', best);
    },
    write(target, value, start) {
      checkTensor('write', target);
      checkTensor('write', value);
      checkWrite(target, value, start);
      place(valuesOf<Values>(target), regionOf(target.shape, start, value.shape), valuesOf<Values>(value));
    },
    random(shape, key) {
      checkShape('random', shape);
      return store([...shape], 'float32', uniforms(sizeOf(shape), key));
    },
  };
}
