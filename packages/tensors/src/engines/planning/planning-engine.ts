import { bytesPerElement, sizeOf } from '@glulam/files';
import type { Device, Kernels, Result } from '../../contract/device.js';
import type { PlanningEngine, Precision } from '../../contract/engine.js';
import { createEngine } from '../../shell/create-engine.js';

/**
 * The plan of an engine that has none of its own: it takes each operation to store its result and nothing else, and to
 * read weights from their files as it needs them, as the reference engine does.
 */
export function createPlanningEngine({ precision }: { readonly precision: Precision }): PlanningEngine {
  let bytes = 0;
  let peak = 0;

  const take = ({ shape, dtype }: Result): Result => {
    bytes += sizeOf(shape) * bytesPerElement[dtype];
    peak = Math.max(peak, bytes);
    return { shape, dtype };
  };
  const device: Device<Result> = {
    description: 'shapes only',
    upload: (values, shape) => take({ shape, dtype: values instanceof Int32Array ? 'int32' : 'float32' }),
    read: async ({ shape, dtype }) => new (dtype === 'int32' ? Int32Array : Float32Array)(sizeOf(shape)),
    write: ({ data }) => data,
    free: ({ shape, dtype }) => void (bytes -= sizeOf(shape) * bytesPerElement[dtype]),
    drain: () => Promise.resolve(),
    openWeight: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
    kernels: sameKernel((_, result) => take(result)),
  };

  return {
    ...createEngine(device, { kind: 'planning', precision }),
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
  };
}

/** Every kernel the same: for devices that only count. */
function sameKernel<Data>(kernel: (given: unknown, result: Result) => Data): Kernels<Data> {
  const names: Readonly<Record<keyof Kernels<Data>, true>> = {
    full: true,
    cast: true,
    matmul: true,
    unary: true,
    binary: true,
    affine: true,
    select: true,
    reduce: true,
    gather: true,
    scatterAdd: true,
    slice: true,
    transpose: true,
    concatenate: true,
    argmax: true,
    random: true,
    readWeight: true,
  };
  return Object.fromEntries(Object.keys(names).map((name) => [name, kernel])) as unknown as Kernels<Data>;
}
