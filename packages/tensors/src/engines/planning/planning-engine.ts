import { bytesPerElement, sizeOf, type DType, type Shape } from '@glulam/files';
import type { PlanningEngine, Precision } from '../../contract/engine.js';
import {
  argmaxShape,
  broadcastShapes,
  checkRows,
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
  transposeShape,
} from '../../shell/shapes.js';
import { Tensor } from '../../contract/tensor.js';

/** What reshaped views share. */
interface Storage {
  readonly bytes: number;
  handles: number;
}

/**
 * The plan of an engine that has none of its own: it takes each operation to store its result and nothing else, and to
 * read weights from their files as it needs them, as the reference engine does.
 */
export function createPlanningEngine({ precision }: { readonly precision: Precision }): PlanningEngine {
  let tensors = 0;
  let bytes = 0;
  let peak = 0;

  const handle = (shape: Shape, dtype: DType, storage: Storage): Tensor => {
    tensors += 1;
    storage.handles += 1;
    return new Tensor([...shape], dtype, storage, () => {
      tensors -= 1;
      storage.handles -= 1;
      if (storage.handles === 0) bytes -= storage.bytes;
    });
  };
  const make = (shape: Shape, dtype: DType = 'float32'): Tensor => {
    const storage = { bytes: sizeOf(shape) * bytesPerElement[dtype], handles: 0 };
    bytes += storage.bytes;
    peak = Math.max(peak, bytes);
    return handle(shape, dtype, storage);
  };

  return {
    kind: 'planning',
    description: 'shapes only',
    precision,
    fused: {},
    mappedBytes: 0,
    get peakBytes() {
      return peak;
    },
    get reservedPeakBytes() {
      return peak;
    },
    resetPeak() {
      peak = bytes;
    },

    upload(data, shape) {
      checkSize('upload', data.length, shape);
      return make(shape, data instanceof Int32Array ? 'int32' : 'float32');
    },
    full: (shape) => make(shape),
    async read(x) {
      checkTensor('read', x);
      return x.dtype === 'int32' ? new Int32Array(x.size) : new Float32Array(x.size);
    },
    drain: () => Promise.resolve(),
    memory: () => ({ tensors, bytes }),
    close: () => Promise.resolve(),

    openWeight: ({ name, shape, dtype }) => Promise.resolve({ name, shape, dtype, storage: undefined }),
    readWeight(weight, start, end) {
      checkRows('readWeight', weight, start, end);
      return make(weight.shape.length === 0 ? [] : [end - start, ...weight.shape.slice(1)]);
    },
    cast: (x, dtype) => make(x.shape, dtype),
    matmul: (a, b, options) => make(matmulSizes(a.shape, b.shape, options).shape),
    unary: (_, x) => make(x.shape),
    binary: (operation, a, b) => make(broadcastShapes(operation, a.shape, b.shape)),
    affine: (x) => make(x.shape),
    select: (condition, a, b) => make(broadcastShapes('select', condition.shape, a.shape, b.shape)),
    reduce: (operation, x, axis) => make(reduceShape(operation, x.shape, axis)),
    gather: (table, indices) => make(gatherShape(table.shape, indices.shape)),
    scatterAdd: (indices, values, rows) => make(scatterAddShape(indices.shape, values.shape, rows)),
    slice: (x, start, size) => make(sliceShape(x.shape, start, size), x.dtype),
    reshape: (x, shape) => handle(reshapeShape(x.shape, shape), x.dtype, x.storage as Storage),
    transpose: (x, permutation) => make(transposeShape(x.shape, permutation), x.dtype),
    concatenate: (parts, axis) =>
      make(
        concatenateShape(
          parts.map(({ shape }) => shape),
          axis,
        ),
      ),
    argmax: (x) => make(argmaxShape(x.shape), 'int32'),
    write: checkWrite,
    random: (shape) => make(shape),
  };
}
