import { bytesPerElement, sizeOf, type DType, type WeightSource } from '@glulam/files';
import { checkSize, Tensor, type FrozenWeight, type PlanningEngine, type Precision } from '@glulam/tensors';
import { copyWeight, type Device, type Operand } from './device.js';
import { engineOn } from './native-engine.js';
import { accessOf, copiedAs } from './open-weight.js';
import { PlannedMemory, type PlannedBlock } from './planned-memory.js';

/** Reshaped views share one. Its block is taken when the command runs that makes it. */
interface Storage {
  readonly bytes: number;
  views: number;
  block?: PlannedBlock;
}

/** The most that native/gemm_tiles.cc packs of a product's left operand. */
const packedBytes = 32 * 2 ** 20;
/** Packed columns, sums and blocks of attention, of each thread. */
const threadScratch = 3 * 2 ** 20;

/** Rows and depth of a command that is a product, from its parameters as native/commands_linear.cc has them. */
function sizesOfProduct(operation: string, operands: readonly Operand[], params: readonly number[]) {
  // One that makes u = v a too does that in float32.
  if (operation === 'adaptedLinear')
    return { m: params[0]!, k: params[2]!, bfloat16: params[6] === 1 && operands[9] === undefined };
  if (!['matmul', 'frozenLinear', 'tokenLosses'].includes(operation)) return undefined;
  return { m: params[1]!, k: params[3]!, bfloat16: params[8] === 1 };
}

const sumOf = (bytes: ReadonlyMap<string, number>): number => [...bytes.values()].reduce((sum, each) => sum + each, 0);

/**
 * The native engine with its memory's rules and without its addon: the same commands in the same order take and give
 * blocks of the same sizes, so the peak is that of the engine itself, to the byte.
 */
export function planNativeEngine({ precision, threads }: { precision: Precision; threads: number }): PlanningEngine {
  let tensors = 0;
  let bytes = 0;
  let peak = 0;
  let packed = 0;
  /** Bytes of files that are mapped, by where they begin: parts of one tensor may be opened as several weights. */
  const mapped = new Map<string, number>();
  const copies = new Map<string, number>();
  const memory = new PlannedMemory();

  const take = (storage: Storage): void => {
    storage.block = memory.take(storage.bytes);
    peak = Math.max(peak, memory.live);
  };
  const view = (shape: readonly number[], dtype: DType, storage: Storage): Tensor => {
    if (storage.views === 0) bytes += storage.bytes;
    storage.views += 1;
    tensors += 1;
    return new Tensor([...shape], dtype, storage, () => {
      tensors -= 1;
      storage.views -= 1;
      if (storage.views > 0) return;
      bytes -= storage.bytes;
      if (storage.block !== undefined) memory.give(storage.block);
    });
  };
  const make = (shape: readonly number[], dtype: DType = 'float32'): Tensor =>
    view(shape, dtype, { bytes: sizeOf(shape) * bytesPerElement[dtype], views: 0 });

  const device: Device = {
    precision,
    make,
    view: (tensor, shape) => view(shape, tensor.dtype, tensor.storage as Storage),
    run(operation, operands, params) {
      const product = sizesOfProduct(operation, operands, params);
      if (product !== undefined) {
        const { m, k, bfloat16 } = product;
        packed = Math.max(packed, Math.min(packedBytes, m * k * (bfloat16 ? 2 : 4)));
      }
      for (const operand of operands) {
        const storage = operand?.storage as Storage | undefined;
        if (storage !== undefined && storage.block === undefined) take(storage);
      }
    },
    upload(data, shape) {
      checkSize('upload', data.length, shape);
      const tensor = make(shape, data instanceof Int32Array ? 'int32' : 'float32');
      take(tensor.storage as Storage);
      return tensor;
    },
    copies,
    async openWeight(source) {
      const access = accessOf(source);
      const { name, shape, dtype } = source;
      const weight = (storage?: Storage): FrozenWeight => ({ name, shape, dtype, storage });
      if (access.kind === 'copied') {
        const copy = weight({ bytes: access.bytes, views: 1 });
        const zeros = ({ shape }: WeightSource, start: number, end: number): Float32Array =>
          new Float32Array((end - start) * sizeOf(shape.slice(1)));
        await copyWeight(device, { ...copy, dtype: access.dtype }, source, zeros);
        const what = copiedAs(source);
        copies.set(what, (copies.get(what) ?? 0) + access.bytes);
        return copy;
      }
      for (const { path, byteOffset, byteLength } of access.kind === 'mapped' ? [access.file] : access.files) {
        const key = `${byteOffset} ${path}`;
        mapped.set(key, Math.max(mapped.get(key) ?? 0, byteLength));
      }
      return weight();
    },
    read: async (tensor) => (tensor.dtype === 'int32' ? new Int32Array(tensor.size) : new Float32Array(tensor.size)),
    drain: () => Promise.resolve(),
    memory: () => ({ tensors, bytes }),
    close: () => Promise.resolve(),
  };
  return {
    ...engineOn(device, `native, ${threads} thread${threads === 1 ? '' : 's'}`),
    get mappedBytes() {
      return sumOf(mapped);
    },
    get copiedBytes() {
      return sumOf(copies);
    },
    get peakBytes() {
      return peak;
    },
    get reservedPeakBytes() {
      return memory.heldPeak + packed + threads * threadScratch;
    },
    resetPeak() {
      peak = memory.live;
      memory.heldPeak = memory.held;
    },
  };
}
