import type { DType, Shape, WeightSource } from '@glulam/files';
import type { BinaryOperation, FrozenWeight, Reduction, UnaryOperation } from './engine.js';
import type { RandomKey } from './philox.js';

/** What a kernel makes. */
export interface Result {
  /** Length of each axis; [] for a scalar. */
  readonly shape: Shape;
  /** Of the elements. */
  readonly dtype: DType;
}

/** What a kernel reads: data that the device stored, in the shape it was made with or another of the same size. */
export interface Operand<Data> extends Result {
  /** The device's own record of it. */
  readonly data: Data;
}

/**
 * The arguments of each kernel. `createEngine` has checked shapes and dtypes before a kernel sees them; lengths of 0 are
 * allowed everywhere. What each computes is said at the operation of the same name of `Engine`.
 */
export interface KernelArguments<Data> {
  /** Every element of the result is `value`. */
  readonly full: { readonly value: number };
  /** To the result's dtype, float32 or bfloat16. */
  readonly cast: { readonly x: Operand<Data> };
  /** [batch, m, k] x [batch, k, n]; a transposed operand is given as [batch, k, m] or [batch, n, k]. */
  readonly matmul: {
    readonly a: Operand<Data>;
    readonly b: Operand<Data>;
    readonly transposeA: boolean;
    readonly transposeB: boolean;
    readonly batch: number;
    readonly m: number;
    readonly k: number;
    readonly n: number;
  };
  /** The function of each element. */
  readonly unary: { readonly operation: UnaryOperation; readonly x: Operand<Data> };
  /** The result's shape is what those of `a` and `b` broadcast to. */
  readonly binary: { readonly operation: BinaryOperation; readonly a: Operand<Data>; readonly b: Operand<Data> };
  /** factor * x + offset */
  readonly affine: { readonly x: Operand<Data>; readonly factor: number; readonly offset: number };
  /** a where the condition is not 0, else b, broadcast to the result's shape. */
  readonly select: { readonly condition: Operand<Data>; readonly a: Operand<Data>; readonly b: Operand<Data> };
  /** Along `axis`, which stays with length 1. */
  readonly reduce: { readonly operation: Reduction; readonly x: Operand<Data>; readonly axis: number };
  /** Throws where an index is out of range, or fails later: see `Device.drain`. */
  readonly gather: { readonly table: Operand<Data>; readonly indices: Operand<Data> };
  /** As `gather`. */
  readonly scatterAdd: { readonly indices: Operand<Data>; readonly values: Operand<Data> };
  /** The region of the result's shape that begins at `start`. */
  readonly slice: { readonly x: Operand<Data>; readonly start: Shape };
  /** Axis i of the result is axis permutation[i] of x. */
  readonly transpose: { readonly x: Operand<Data>; readonly permutation: readonly number[] };
  /** The parts, of the result's dtype, one after the other along `axis`. */
  readonly concatenate: { readonly parts: readonly Operand<Data>[]; readonly axis: number };
  /** Index of the largest along the last axis, the first of equals. */
  readonly argmax: { readonly x: Operand<Data> };
  /** Uniform in [0, 1): see philox.ts. */
  readonly random: { readonly key: RandomKey };
  /** Rows `[start, end)` of a weight that this device opened, as float32. */
  readonly readWeight: { readonly weight: FrozenWeight; readonly start: number; readonly end: number };
}

/** A device's arithmetic, kernel by kernel: each gives new data of the result's shape and dtype. */
export type Kernels<Data> = {
  readonly [Name in keyof KernelArguments<Data>]: (given: KernelArguments<Data>[Name], result: Result) => Data;
};

/**
 * What stores tensors and computes. `createEngine` makes an engine of it, which checks, counts and frees for all devices
 * alike; so a device has neither checks of shapes nor counts of tensors.
 *
 * A kernel returns at once and may compute behind the call, in order. Where it throws, or `read` or `drain` rejects, the
 * device has failed: the engine calls no kernel after that.
 */
export interface Device<Data> {
  /** For people: instruction set, threads, backend. */
  readonly description: string;
  /** See `Engine.choice`. */
  readonly choice?: string | undefined;
  /** See `Engine.copies`. */
  readonly copies?: ReadonlyMap<string, number>;
  /** Its arithmetic. */
  readonly kernels: Kernels<Data>;
  /** How many bytes an element takes, where that is not what its dtype says. */
  readonly bytesPerElement?: Readonly<Record<DType, number>>;
  /** Store a copy of the values: float32 of a Float32Array, int32 of an Int32Array. */
  upload(values: Float32Array | Int32Array, shape: Shape): Data;
  /** Values in an array that is the caller's; bfloat16 comes widened to float32. */
  read(x: Operand<Data>): Promise<Float32Array | Int32Array>;
  /** Overwrite the region of `target` that begins at `start` with `value`: in place, or as new data for the target. */
  write(target: Operand<Data>, value: Operand<Data>, start: Shape): Data;
  /** Nothing reads the data any more. */
  free(data: Data): void;
  /** Resolves when all that was asked for is done; rejects if any of it failed. */
  drain(): Promise<void>;
  /** Open a checked weight; what it resolves with is `FrozenWeight.storage`. Rejections are the caller's to see as they are. */
  openWeight(source: WeightSource): Promise<unknown>;
  /** Free everything, once; rejects with a failure of work that nobody has waited for. */
  close(): Promise<void>;
}
