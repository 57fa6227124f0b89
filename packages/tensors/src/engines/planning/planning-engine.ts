import { bytesPerElement, sizeOf } from '@glulam/files';
import type { Device, Result } from '../../contract/device.js';
import type { PlanningEngine, Precision } from '../../contract/engine.js';
import { createEngine } from '../../shell/create-engine.js';
import { kernelsFrom } from '../../shell/kernels-from.js';

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
    kernels: kernelsFrom((_name, _given, result) => take(result)),
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
