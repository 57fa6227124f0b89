import type { DType, WeightSource } from '@glulam/files';
import { point } from '@glulam/plugin';
import type { z } from 'zod';
import type { Overrides } from './fused.js';
import type { RandomKey } from './philox.js';
import type { Tensor } from './tensor.js';

/** What products with frozen weights multiply, and in what activations are kept; sums are float32 either way. */
export type Precision = 'float32' | 'bfloat16';

/** Functions of one element, see `Engine.unary`. */
export type UnaryOperation = 'neg' | 'exp' | 'log' | 'sqrt' | 'rsqrt' | 'sigmoid';
/** `greaterEqual` gives 1 or 0. */
export type BinaryOperation = 'add' | 'sub' | 'mul' | 'div' | 'max' | 'greaterEqual';
/** Along one axis: the sum, or the largest element. */
export type Reduction = 'sum' | 'max';

/**
 * A weight of the base checkpoint: opened once a physical tensor, read in place by the engine's operations, never trained.
 * It need not fit one buffer, so only operations look into `storage`.
 */
export interface FrozenWeight {
  /** The tensor's name in the checkpoint. */
  readonly name: string;
  /** Its shape in the checkpoint; [out, in] for a linear layer, [vocabulary, hidden] for an embedding. */
  readonly shape: readonly number[];
  /** The type of its values, in whatever format they are stored: float32, bfloat16 or float16. */
  readonly dtype: DType;
  /** The engine's own record. */
  readonly storage: unknown;
}

/** Live tensors and their bytes, frozen weights apart, as counted when called. */
export interface EngineMemory {
  /** Handles that are not released yet. Reshaped views of one array count separately. */
  readonly tensors: number;
  /** Bytes of the arrays that these handles share or own. */
  readonly bytes: number;
}

/**
 * An engine that makes shapes and counts bytes but stores and computes nothing: a step on it says what the step takes.
 * Values that are read are zeros.
 */
export interface PlanningEngine extends Engine {
  /** Of files that the engine keeps mapped: pages that the system may drop and read again. */
  readonly mappedBytes: number;
  /** The most bytes of tensors that were alive at once since the last call of `resetPeak`, or since it was opened. */
  readonly peakBytes: number;
  /** The most that the engine took from the system: tensors, freed blocks kept for reuse, its threads' scratch. */
  readonly reservedPeakBytes: number;
  /** Of weights that the engine copies instead of using them in place, so far; `reservedPeakBytes` includes them. */
  readonly copiedBytes?: number;
  /** The most that the engine can hold, whatever the machine has. */
  readonly limitBytes?: number | undefined;
  /** Start `peakBytes` again from the bytes that are alive now. */
  resetPeak(): void;
}

/**
 * The only door to arithmetic. An operation returns at once with a tensor of known shape, while the work may run behind
 * it, in order. Arithmetic is float32; bfloat16 tensors are storage, accepted by `cast`, `read`, `slice`, `reshape`,
 * `transpose`, `concatenate`, `write` and the fused operations. A failed operation names itself, and later `read`s and
 * `drain`s reject with it.
 *
 * An engine that implements these operations alone runs everything; `fused` makes it fast. `createEngine` makes one of a
 * `Device`, which only stores and computes.
 */
export interface Engine {
  /** The `kind` that a config chooses the engine by, such as `reference`. */
  readonly kind: string;
  /** For people: instruction set, threads, backend. */
  readonly description: string;
  /** What products with frozen weights multiply, fixed when the engine was opened. */
  readonly precision: Precision;
  /** What the engine chose for this machine by itself, where sums depend on it: runs record it, and resume with it. */
  readonly choice?: string | undefined;
  /**
   * Bytes of frozen weights that the engine copies because it cannot compute with them where they are stored, by the name
   * of their storage format. Commands report them.
   */
  readonly copies?: ReadonlyMap<string, number>;
  /** Overrides of named operations; what is missing runs as its composition of the operations below. */
  readonly fused: Overrides;

  /** A tensor with a copy of `data`: float32 of a Float32Array, int32 of an Int32Array. */
  upload(data: Float32Array | Int32Array, shape: readonly number[]): Tensor;
  /** A float32 tensor whose elements are all `value`. */
  full(shape: readonly number[], value: number): Tensor;
  /** The values: bfloat16 comes widened to float32. */
  read(tensor: Tensor): Promise<Float32Array | Int32Array>;
  /** Resolves when everything asked for so far is done; rejects if any of it failed. */
  drain(): Promise<void>;
  /** Counts the live tensors and their bytes now. */
  memory(): EngineMemory;
  /** Finish the queue and free everything. */
  close(): Promise<void>;

  /**
   * Open a tensor of a checkpoint, or a view of one, as a frozen weight, in whatever format it is stored. Rejects with
   * DTYPE_MISMATCH for int32, with FilesError BAD_ARGUMENT for a view beyond its tensor, and with FILE_UNREADABLE.
   */
  openWeight(source: WeightSource): Promise<FrozenWeight>;
  /** Rows `[start, end)` of a weight along its first axis, as float32. */
  readWeight(weight: FrozenWeight, start: number, end: number): Tensor;

  /** The values as float32 or bfloat16, rounded to nearest, ties to even. Throws DTYPE_MISMATCH for other dtypes. */
  cast(x: Tensor, dtype: DType): Tensor;
  /** [m, k] x [k, n], or [b, m, k] x [b, k, n]; a transposed operand is given as [.., k, m] or [.., n, k]. */
  matmul(a: Tensor, b: Tensor, options?: { readonly transposeA?: boolean; readonly transposeB?: boolean }): Tensor;
  /** The function of each element: `rsqrt` is 1 / sqrt(x), `sigmoid` is 1 / (1 + exp(-x)), `log` is natural. */
  unary(operation: UnaryOperation, x: Tensor): Tensor;
  /** Shapes broadcast as NumPy's do. */
  binary(operation: BinaryOperation, a: Tensor, b: Tensor): Tensor;
  /** factor * x + offset */
  affine(x: Tensor, factor: number, offset: number): Tensor;
  /** a where condition is not 0, else b; all three of one shape after broadcasting. */
  select(condition: Tensor, a: Tensor, b: Tensor): Tensor;
  /** The axis stays, with length 1. */
  reduce(operation: Reduction, x: Tensor, axis: number): Tensor;
  /** Rows of table [r, c] by indices [n] (int32): [n, c]. */
  gather(table: Tensor, indices: Tensor): Tensor;
  /** A [rows, c] tensor of zeros to which values [n, c] are added at indices [n]. */
  scatterAdd(indices: Tensor, values: Tensor, rows: number): Tensor;
  /** The region of shape `size` that begins at index `start`; both have one entry per axis. Keeps the dtype. */
  slice(x: Tensor, start: readonly number[], size: readonly number[]): Tensor;
  /** The same elements in row-major order under another shape of the same size. Keeps the dtype. */
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  /** Axis i of the result is axis permutation[i] of x. Keeps the dtype. */
  transpose(x: Tensor, permutation: readonly number[]): Tensor;
  /** The parts, of one dtype, joined along `axis`; their other lengths must be equal. At least one part. Keeps the dtype. */
  concatenate(parts: readonly Tensor[], axis: number): Tensor;
  /** Index of the largest along the last axis, the first of equals: int32, without that axis. */
  argmax(x: Tensor): Tensor;
  /** Overwrite the region of `target` that begins at `start` with `value` (same dtype). */
  write(target: Tensor, value: Tensor, start: readonly number[]): void;
  /** Uniform in [0, 1), a function of the key and the element's index alone: see philox.ts. */
  random(shape: readonly number[], key: RandomKey): Tensor;
}

/** One way in which an engine may run here, and whether it does. */
export interface EngineProbe {
  /** The engine's kind, or a backend's name. */
  readonly name: string;
  /** Whether the engine or backend works on this machine. */
  readonly loads: boolean;
  /** What it would run on, or the reason why it does not load and what to do about it. */
  readonly details: string;
}

/** Memory of its own that a device has, such as a GPU's: tensors and copies of weights are there, not in the machine's. */
export interface DeviceMemory {
  /** For people, such as `NVIDIA H200`. */
  readonly name: string;
  /** Bytes that are free now; undefined: the device does not say. */
  readonly availableBytes: number | undefined;
}

/** What a plugin contributes at the point `engines`. */
export interface EngineContribution<Options = unknown> {
  /** The name by which a config chooses this engine. */
  readonly kind: string;
  /** Checks the engine's options in a config and fills in their defaults. */
  readonly schema: z.ZodType<Options>;
  /** `choice`: the one of an earlier engine whose numbers this one is to repeat, if it can. */
  open(
    options: Options,
    context: { readonly precision: Precision; readonly choice?: string | undefined },
  ): Promise<Engine>;
  /** The same engine to plan with, without a look at the machine; without it, `createPlanningEngine` stands in. */
  plan?(options: Options, context: { readonly precision: Precision }): PlanningEngine;
  /** Where tensors are, if not in the machine's own memory: a plan judges the two apart. Looks at this machine. */
  deviceMemory?(options: Options): Promise<DeviceMemory | undefined>;
  /** Look at this machine, for `glulam doctor`; what does not load is told, not thrown. */
  probe?(): Promise<readonly EngineProbe[]>;
}

/** The point at which plugins contribute engines. */
export const engines = point<EngineContribution>('tensors.engines', { schema: 'schema', open: 'function' });
