import type { DType } from './dtype.js';

/** Where a tensor of a checkpoint lies: `byteLength` bytes at `byteOffset` of `file`, row-major, little-endian. */
export interface WeightSource {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly file: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}
