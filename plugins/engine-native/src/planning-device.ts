import { bytesPerElement, sizeOf } from '@glulam/files';
import { createEngine, type Device, type PlanningEngine, type Precision, type Result } from '@glulam/tensors';
import type { CommandArguments, CommandName } from './commands/layouts.js';
import { operandsOf } from './commands/encode.js';
import { createFused } from './fused/fused.js';
import { copyWeight, createKernels, createWrite, itself, type Commander } from './kernels.js';
import { accessOf, copiedAs } from './open-weight.js';
import { PlannedMemory, type PlannedBlock } from './planned-memory.js';

/** Its block is taken when the command runs that makes it; a mapped weight has none. */
interface PlannedData {
  readonly bytes: number;
  block?: PlannedBlock;
}

/** The most that native/gemm_tiles.cc packs of a product's left operand. */
const packedBytes = 32 * 2 ** 20;
/** Packed columns, sums and blocks of attention, of each thread. */
const threadScratch = 3 * 2 ** 20;

/** What a product packs of its left operand; of another command 0. */
function packedBy(name: CommandName, given: unknown): number {
  if (name === 'adaptedLinear') {
    const { m, k, bfloat16, a } = given as CommandArguments<'adaptedLinear', PlannedData>;
    // One that makes u = v a too does that in float32.
    return m * k * (bfloat16 && a === undefined ? 2 : 4);
  }
  if (name !== 'matmul' && name !== 'frozenLinear' && name !== 'tokenLosses') return 0;
  const { m, k, bfloat16 } = given as CommandArguments<'matmul', PlannedData>;
  return m * k * (bfloat16 ? 2 : 4);
}

const sumOf = (bytes: ReadonlyMap<string, number>): number => [...bytes.values()].reduce((sum, each) => sum + each, 0);

/**
 * The native engine with its memory's rules and without its addon: the same commands in the same order take and give
 * blocks of the same sizes, so the peak is that of the engine itself, to the byte.
 */
export function planNativeEngine({ precision, threads }: { precision: Precision; threads: number }): PlanningEngine {
  let peak = 0;
  let packed = 0;
  /** Bytes of files that are mapped, by where they begin: parts of one tensor may be opened as several weights. */
  const mapped = new Map<string, number>();
  const copies = new Map<string, number>();
  const memory = new PlannedMemory();

  const take = (data: PlannedData): PlannedData => {
    data.block = memory.take(data.bytes);
    peak = Math.max(peak, memory.live);
    return data;
  };
  const allocate = ({ shape, dtype }: Result): PlannedData => ({ bytes: sizeOf(shape) * bytesPerElement[dtype] });
  const commander: Commander<PlannedData> = {
    allocate,
    run(name, given, { dataOf = itself } = {}) {
      packed = Math.max(packed, Math.min(packedBytes, packedBy(name, given)));
      for (const operand of operandsOf(name, given)) {
        const data = operand && dataOf(operand);
        if (data !== undefined && data !== mappedWeight && data.block === undefined) take(data);
      }
    },
  };
  const upload: Device<PlannedData>['upload'] = (values) => take({ bytes: values.byteLength });
  const free = ({ block }: PlannedData): void => {
    if (block !== undefined) memory.give(block);
  };

  const device: Device<PlannedData> = {
    description: `native, ${threads} thread${threads === 1 ? '' : 's'}`,
    copies,
    kernels: createKernels(commander),
    write: createWrite(commander),
    upload,
    free,
    async openWeight(source) {
      const access = accessOf(source);
      if (access.kind === 'copied') {
        const { shape } = source;
        const weight: PlannedData = { bytes: access.bytes };
        const read = (start: number, end: number) => new Float32Array((end - start) * sizeOf(shape.slice(1)));
        await copyWeight(commander, { upload, free }, weight, { shape, dtype: access.dtype, read });
        const what = copiedAs(source);
        copies.set(what, (copies.get(what) ?? 0) + access.bytes);
        return weight;
      }
      for (const { path, byteOffset, byteLength } of access.kind === 'mapped' ? [access.file] : access.files) {
        const key = `${byteOffset} ${path}`;
        mapped.set(key, Math.max(mapped.get(key) ?? 0, byteLength));
      }
      return mappedWeight;
    },
    read: async ({ shape, dtype }) => new (dtype === 'int32' ? Int32Array : Float32Array)(sizeOf(shape)),
    drain: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const engine = createEngine(device, {
    kind: 'native',
    precision,
    createFused: (shell, on) => createFused(commander, shell, on),
  });
  return {
    ...engine,
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

/** It lies in its file and takes nothing. */
const mappedWeight: PlannedData = { bytes: 0 };
