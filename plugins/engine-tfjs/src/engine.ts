import { sizeOf } from '@glulam/files';
import {
  createEngine,
  kernelsFrom,
  type Device,
  type Engine,
  type EngineShell,
  type FusedOperations,
  type Kernels,
  type Operand,
  type Precision,
  type Result,
} from '@glulam/tensors';
import type { Backend } from './backend.js';
import { overwrite } from './overwrite.js';
import { createWeights, type Weights } from './weights.js';

/** What overrides of named operations work with. */
export interface TfjsShell<Data> extends EngineShell<Data> {
  readonly backend: Backend<Data>;
  readonly precision: Precision;
  readonly weights: Weights<Data>;
}

/** The engine on a backend, which computes when it is asked or behind the call. */
export function createTfjsEngine<Data extends object>(
  backend: Backend<Data>,
  precision: Precision,
  createFused: (shell: TfjsShell<Data>, engine: Engine) => Partial<FusedOperations>,
): Engine {
  const weights = createWeights(backend);
  const device = createDevice(backend, weights);
  return createEngine(device, {
    kind: 'tfjs',
    precision,
    createFused(shell, engine) {
      const make: EngineShell<Data>['make'] = (operation, result, compute) =>
        shell.make(operation, result, sizeOf(result.shape) === 0 ? () => empty(backend, result) : compute);
      return createFused({ ...shell, make, backend, precision, weights }, engine);
    },
  });
}

const empty = <Data>(backend: Backend<Data>, { shape, dtype }: Result): Data =>
  backend.upload(dtype === 'int32' ? new Int32Array() : new Float32Array(), shape);

/** A backend as a device: it is asked for no arrays without elements, and for no indices that are out of range. */
function createDevice<Data extends object>(backend: Backend<Data>, weights: Weights<Data>): Device<Data> {
  /** Indices as they were uploaded: they are checked without asking the backend. */
  const uploaded = new WeakMap<Data, Int32Array>();
  const checkIndices = (indices: Operand<Data>, rows: number): void => {
    const values = uploaded.get(indices.data) ?? backend.peek?.(indices);
    const position = values?.findIndex((index) => index < 0 || index >= rows) ?? -1;
    if (position < 0) return;
    throw new Error(
      `got index ${values![position]} at position ${position}; expected indices from 0 and below ${rows}, the number of rows`,
    );
  };
  const zeros = ({ shape }: Result): Data => backend.fill(shape, 0);
  const kernels: Kernels<Data> = {
    full: ({ value }, { shape }) => backend.fill(shape, value),
    cast({ x }, { shape, dtype }) {
      if (x.dtype === dtype)
        return backend.slice(
          x,
          shape.map(() => 0),
          shape,
        );
      return dtype === 'bfloat16' ? backend.toBfloat16(x) : backend.toFloat32(x);
    },
    matmul: ({ a, b, transposeA, transposeB, k }, result) =>
      k === 0 ? zeros(result) : backend.matmul(a, b, transposeA, transposeB),
    unary: ({ operation, x }) => backend.unary(operation, x),
    binary: ({ operation, a, b }) => backend.binary(operation, a, b),
    affine: ({ x, factor, offset }) => backend.affine(x, factor, offset),
    select: ({ condition, a, b }, { shape }) => backend.select(condition, a, b, shape),
    reduce: ({ operation, x, axis }, result) =>
      sizeOf(x.shape) === 0 ? zeros(result) : backend.reduce(operation, x, axis),
    gather({ table, indices }) {
      checkIndices(indices, table.shape[0]!);
      return backend.gather(table, indices);
    },
    scatterAdd({ indices, values }, result) {
      const rows = result.shape[0]!;
      checkIndices(indices, rows);
      return sizeOf(values.shape) === 0 ? zeros(result) : backend.scatterAdd(indices, values, rows);
    },
    slice: ({ x, start }, { shape }) => backend.slice(x, start, shape),
    transpose: ({ x, permutation }) => backend.transpose(x, permutation),
    concatenate: ({ parts, axis }) =>
      backend.concatenate(
        parts.filter(({ shape }) => sizeOf(shape) > 0),
        axis,
      ),
    argmax: ({ x }) => backend.argmax(x),
    random: ({ key }, { shape }) => backend.upload(backend.host.uniforms(sizeOf(shape), key), shape),
    readWeight({ weight, start, end }, { shape }) {
      // Vectors are read once, when a model is opened; matrices are kept, since every pass reads them.
      if (weight.shape.length !== 2)
        return backend.upload(backend.host.readFloats(weights.sourceOf(weight), start, end), shape);
      const whole = weights.whole(weight);
      const isWhole = start === 0 && end === weight.shape[0];
      const rows = isWhole ? whole.data : backend.slice(whole, [start, 0], shape);
      if (whole.dtype !== 'bfloat16') return rows;
      const wide = backend.toFloat32({ data: rows, shape, dtype: whole.dtype });
      if (!isWhole) backend.free(rows);
      return wide;
    },
  };

  return {
    description: backend.description,
    bytesPerElement: backend.bytesPerElement,
    kernels: kernelsFrom((name, given, result) => {
      const kernel = kernels[name] as (all: typeof given, made: Result) => Data;
      return sizeOf(result.shape) === 0 ? empty(backend, result) : kernel(given, result);
    }),
    upload(values, shape) {
      const copy = values.slice();
      const data = backend.upload(copy, shape);
      if (copy instanceof Int32Array) uploaded.set(data, copy);
      return data;
    },
    async read(x) {
      if (sizeOf(x.shape) === 0) return x.dtype === 'int32' ? new Int32Array() : new Float32Array();
      return backend.read(x);
    },
    write: (target, value, start) => overwrite(backend, target, value, start),
    free(data) {
      if (!weights.owns(data)) backend.free(data);
    },
    async drain() {
      // A backend without `settle` computed on this thread: let timers, signals and output in.
      if (backend.settle === undefined) await new Promise((done) => setImmediate(done));
      else await backend.settle();
    },
    openWeight: weights.open,
    async close() {
      weights.free();
      backend.close();
    },
  };
}
