import type { DType } from '../numbers/dtype.js';

/** Where a tensor of a checkpoint lies: `byteLength` bytes at `byteOffset` of `file`, row-major, little-endian. */
export interface WeightSource {
  /** The tensor's name in the checkpoint. */
  readonly name: string;
  /** Length of each axis. */
  readonly shape: readonly number[];
  /** How the file stores the elements. */
  readonly dtype: DType;
  /** Path of the file. */
  readonly file: string;
  /** Of the first element, from the start of the file. */
  readonly byteOffset: number;
  /** Bytes of all elements. */
  readonly byteLength: number;
}
