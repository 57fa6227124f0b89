import { sizeOf, type Shape, type WeightSource } from '@glulam/files';
import { broadcastShapes, matmulSizes, type Operand } from '@glulam/tensors';
import type { Backend } from '../backend.js';
import type { Host } from '../host.js';
import type { Counter } from './counter.js';

/** Files of any size, all zeros, and no random numbers: a plan reads nothing. */
export const planningHost: Host = {
  sizeOfFile: () => Number.MAX_SAFE_INTEGER,
  readFloats: ({ shape }: WeightSource, start = 0, end = shape[0] ?? 1) =>
    new Float32Array((end - start) * sizeOf(shape.slice(1))),
  uniforms: (count) => new Float32Array(count),
};

interface Block {
  readonly bytes: number;
  readonly isWeight: boolean;
}

/**
 * The backends on kernels (cpu, wasm, webgpu) without arithmetic: it counts what they store, four bytes an element, and
 * the float32 copies of weights apart. `packs`: wasm copies and packs the right operand of a product.
 */
export function createPlanningBackend(
  description: string,
  tensors: Counter,
  weights: Counter,
  { packs }: { readonly packs: boolean },
): Backend<Block> {
  const make = (shape: Shape, isWeight = false): Block => {
    const block = { bytes: 4 * sizeOf(shape), isWeight };
    (isWeight ? weights : tensors).take(block.bytes);
    return block;
  };
  const bytesOf = ({ shape }: Operand<Block>): number => 4 * sizeOf(shape);
  return {
    description,
    host: planningHost,
    bytesPerElement: { float32: 4, bfloat16: 4, float16: 4, int32: 4 },
    upload: (_, shape) => make(shape),
    fill: (shape) => make(shape),
    free: ({ bytes, isWeight }) => (isWeight ? weights : tensors).give(bytes),
    read: ({ shape, dtype }) =>
      Promise.resolve(dtype === 'int32' ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape))),
    weightDtype: () => 'float32',
    loadWeight: ({ shape }) => make(shape, true),
    close: () => undefined,

    toBfloat16: ({ shape }) => make(shape),
    toFloat32: ({ shape }) => make(shape),
    matmul(a, b, transposeA, transposeB) {
      const { shape } = matmulSizes(a.shape, b.shape, { transposeA, transposeB });
      const result = make(shape);
      if (packs) tensors.scratch(bytesOf(a) + 2 * bytesOf(b) + result.bytes);
      return result;
    },
    unary: (_, { shape }) => make(shape),
    binary: (operation, a, b) => make(broadcastShapes(operation, a.shape, b.shape)),
    affine(x) {
      const result = make(x.shape);
      tensors.scratch(result.bytes);
      return result;
    },
    select(_, _a, _b, shape) {
      const result = make(shape);
      tensors.scratch(4 * result.bytes);
      return result;
    },
    reduce: (_, { shape }, axis) => make(shape.with(axis, 1)),
    gather: (table, indices) => make([sizeOf(indices.shape), table.shape[1]!]),
    scatterAdd: (_, values, rows) => make([rows, values.shape[1]!]),
    slice: (_, _start, size) => make(size),
    transpose: ({ shape }, permutation) => make(permutation.map((axis) => shape[axis]!)),
    concatenate: (parts, axis) =>
      make(
        parts[0]!.shape.with(
          axis,
          parts.reduce((sum, { shape }) => sum + shape[axis]!, 0),
        ),
      ),
    argmax: ({ shape }) => make(shape.slice(0, -1)),
  };
}
