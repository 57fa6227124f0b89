import { sizeOf, type Shape } from '@glulam/files';
import { sameShape, type BinaryOperation, type Operand, type UnaryOperation } from '@glulam/tensors';
import type * as tfjsCore from '@tensorflow/tfjs-core';
import type { KernelBackend, NamedAttrMap, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { roundToBfloat16 } from './bfloat16.js';
import type { Backend } from './backend.js';
import { host } from './host.js';

export type Core = typeof tfjsCore;

/** A backend of TensorFlow.js; none of these has bfloat16. */
interface KernelBackendOptions {
  readonly core: Core;
  /** As its kernels are registered. */
  readonly name: string;
  readonly backend: KernelBackend;
  readonly description: string;
  /** Where the backend's own product is slow for some operands. */
  readonly matmul?: (
    kernels: Kernels,
    a: TensorInfo,
    b: TensorInfo,
    transposeA: boolean,
    transposeB: boolean,
  ) => Tensor;
  /** Of a backend that computes behind its calls, so that values are not there at once. */
  readonly behind?: {
    /** Wait for all that was asked for; rejects if any of it failed. */
    settle(): Promise<void>;
    toBfloat16(x: TensorInfo): TensorInfo;
  };
}

/** Kernels by name, on one backend; what they make is counted in `tf.memory()`. */
export interface Kernels {
  run(kernel: string, inputs: Record<string, TensorInfo>, attributes?: NamedAttrMap): Tensor;
  /** Run `body` and dispose what it made but its result. */
  tidy(body: (note: (tensor: Tensor) => Tensor) => Tensor): Tensor;
}

const unaryKernels: Readonly<Record<UnaryOperation, string>> = {
  neg: 'Neg',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  rsqrt: 'Rsqrt',
  sigmoid: 'Sigmoid',
};
const binaryKernels: Readonly<Record<BinaryOperation, string>> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Multiply',
  div: 'RealDiv',
  max: 'Maximum',
  greaterEqual: 'GreaterEqual',
};

/**
 * A backend on the kernels of a TensorFlow.js backend, called without the library's own operations: so engines on
 * several backends live beside one another, and no tape or tidy of the library's looks on.
 */
export function createKernelBackend(options: KernelBackendOptions): Backend<Tensor> {
  const { core, name, backend, description, behind } = options;
  const live = new Set<Tensor>();

  const keep = (info: TensorInfo): Tensor => {
    const tensor = core.engine().makeTensorFromDataId(info.dataId, info.shape, info.dtype, backend);
    live.add(tensor);
    return tensor;
  };
  const free = (tensor: Tensor): void => {
    live.delete(tensor);
    tensor.dispose();
  };
  const kernels: Kernels = {
    run(kernel, inputs, attributes = {}) {
      const found = core.getKernel(kernel, name);
      if (found == null) throw new Error(`the backend ${name} has no kernel ${kernel}`);
      return keep(found.kernelFunc({ inputs, backend, attrs: attributes }) as TensorInfo);
    },
    tidy(body) {
      const made = new Set<Tensor>();
      let result: Tensor | undefined;
      try {
        result = body((tensor) => {
          made.add(tensor);
          return tensor;
        });
        return result;
      } finally {
        for (const tensor of made) if (tensor !== result) free(tensor);
      }
    },
  };
  const { run, tidy } = kernels;
  // So that it does not advise another backend on stderr: which one runs was chosen.
  (backend as { firstUse?: boolean }).firstUse = false;

  const upload = (values: Float32Array | Int32Array, shape: Shape): Tensor => {
    const dtype = values instanceof Int32Array ? 'int32' : 'float32';
    return keep({ dataId: backend.write(values, [...shape], dtype), shape: [...shape], dtype });
  };
  const scalar = (value: number): Tensor => upload(Float32Array.of(value), []);
  const info = ({ data, shape, dtype }: Operand<Tensor>): TensorInfo => ({
    dataId: data.dataId,
    shape: [...shape],
    dtype: dtype === 'int32' ? 'int32' : 'float32',
  });
  const toFloat = (x: TensorInfo): Tensor => run('Cast', { x }, { dtype: 'float32' });
  /** Repeated to `shape`; times 1 keeps every value as it is. */
  const expand = (x: TensorInfo, shape: Shape, note: (tensor: Tensor) => Tensor): TensorInfo => {
    if (sameShape(x.shape, shape)) return x;
    const ones = note(upload(new Float32Array(sizeOf(shape)).fill(1), shape));
    return note(run('Multiply', { a: x, b: ones }));
  };

  return {
    // A run's first lines and `glulam doctor` show it: whoever asked for bfloat16 sees what became of it.
    description: `${description}, computes in float32 only`,
    host,
    bytesPerElement: { float32: 4, bfloat16: 4, float16: 4, int32: 4 },
    upload,
    fill: (shape, value) => upload(new Float32Array(sizeOf(shape)).fill(value), shape),
    free,
    async read({ data }) {
      return ((await backend.read(data.dataId)) as Float32Array | Int32Array).slice();
    },
    ...(behind === undefined
      ? { peek: ({ data }) => backend.readSync(data.dataId) as Int32Array }
      : { settle: behind.settle }),
    weightDtype: () => 'float32',
    loadWeight: (source) => upload(host.readFloats(source), source.shape),
    close() {
      for (const tensor of live) free(tensor);
    },

    toBfloat16: (x) =>
      behind === undefined
        ? upload(roundToBfloat16(backend.readSync(x.data.dataId) as Float32Array), x.shape)
        : keep(behind.toBfloat16(info(x))),
    // Stored as float32 already.
    toFloat32: (x) => copy(x),
    matmul(a, b, transposeA, transposeB) {
      const matrices = (x: Operand<Tensor>): TensorInfo => ({
        ...info(x),
        shape: x.shape.length === 2 ? [1, ...x.shape] : [...x.shape],
      });
      const product = options.matmul ?? plainMatmul;
      return product(kernels, matrices(a), matrices(b), transposeA, transposeB);
    },
    unary: (operation, x) => run(unaryKernels[operation], { x: info(x) }),
    binary: (operation, a, b) =>
      tidy((note) => {
        const result = run(binaryKernels[operation], { a: info(a), b: info(b) });
        return operation === 'greaterEqual' ? toFloat(note(result)) : result;
      }),
    affine: (x, factor, offset) =>
      tidy((note) => {
        const scaled = run('Multiply', { a: info(x), b: note(scalar(factor)) });
        return offset === 0 ? scaled : run('Add', { a: note(scaled), b: note(scalar(offset)) });
      }),
    select: (condition, a, b, shape) =>
      tidy((note) => {
        const [test, t, e] = [condition, a, b].map((x) => expand(info(x), shape, note)) as [
          TensorInfo,
          TensorInfo,
          TensorInfo,
        ];
        const isSet = note(run('NotEqual', { a: test, b: note(scalar(0)) }));
        return run('Select', { condition: isSet, t, e });
      }),
    reduce: (operation, x, axis) =>
      operation === 'sum'
        ? run('Sum', { x: info(x) }, { axis: [axis], keepDims: true })
        : run('Max', { x: info(x) }, { reductionIndices: [axis], keepDims: true }),
    gather: (table, indices) => run('GatherV2', { x: info(table), indices: info(indices) }, { axis: 0, batchDims: 0 }),
    scatterAdd: (indices, values, rows) =>
      run(
        'ScatterNd',
        { indices: { ...info(indices), shape: [...indices.shape, 1] }, updates: info(values) },
        { shape: [rows, values.shape[1]!] },
      ),
    slice: (x, start, size) =>
      x.shape.length === 0 ? copy(x) : run('Slice', { x: info(x) }, { begin: [...start], size: [...size] }),
    transpose: (x, permutation) => run('Transpose', { x: info(x) }, { perm: [...permutation] }),
    concatenate: (parts, axis) => run('Concat', parts.map(info) as unknown as Record<string, TensorInfo>, { axis }),
    argmax: (x) => run('ArgMax', { x: info(x) }, { axis: x.shape.length - 1 }),
  };

  /** Data is never changed in place, so that a copy may share it. */
  function copy(x: Operand<Tensor>): Tensor {
    return run('Identity', { x: info(x) });
  }
}

const plainMatmul: NonNullable<KernelBackendOptions['matmul']> = ({ run }, a, b, transposeA, transposeB) =>
  run('BatchMatMul', { a, b }, { transposeA, transposeB });
