import type { DType, Shape, WeightSource } from '@glulam/files';
import type { BinaryOperation, Operand, Reduction, UnaryOperation } from '@glulam/tensors';
import type { Host } from './host.js';

/**
 * A backend's arithmetic. The engine above it checks shapes and dtypes, counts, and sees to arrays without elements, so
 * that none comes here. Data is never changed in place: backends keep packed or moved copies of what they have seen.
 */
export interface Backend<Data> {
  readonly description: string;
  readonly host: Host;
  /** How a dtype is stored. */
  readonly bytesPerElement: Readonly<Record<DType, number>>;
  upload(values: Float32Array | Int32Array, shape: Shape): Data;
  fill(shape: Shape, value: number): Data;
  free(data: Data): void;
  read(x: Operand<Data>): Promise<Float32Array | Int32Array>;
  /** Indices at once, where the backend can; they are checked before they are used. */
  peek?(x: Operand<Data>): Int32Array;
  /** Where the backend computes behind its calls: resolves when all is done, rejects if any of it failed. */
  settle?(): Promise<void>;
  /** How a frozen weight is kept. */
  weightDtype(source: WeightSource): 'float32' | 'bfloat16';
  /** The whole weight, in `weightDtype`. */
  loadWeight(source: WeightSource): Data;
  /** Once after the last call. */
  close(): void;

  toBfloat16(x: Operand<Data>): Data;
  toFloat32(x: Operand<Data>): Data;
  matmul(a: Operand<Data>, b: Operand<Data>, transposeA: boolean, transposeB: boolean): Data;
  unary(operation: UnaryOperation, x: Operand<Data>): Data;
  binary(operation: BinaryOperation, a: Operand<Data>, b: Operand<Data>): Data;
  affine(x: Operand<Data>, factor: number, offset: number): Data;
  select(condition: Operand<Data>, a: Operand<Data>, b: Operand<Data>, shape: Shape): Data;
  reduce(operation: Reduction, x: Operand<Data>, axis: number): Data;
  gather(table: Operand<Data>, indices: Operand<Data>): Data;
  scatterAdd(indices: Operand<Data>, values: Operand<Data>, rows: number): Data;
  slice(x: Operand<Data>, start: Shape, size: Shape): Data;
  transpose(x: Operand<Data>, permutation: readonly number[]): Data;
  concatenate(parts: readonly Operand<Data>[], axis: number): Data;
  argmax(x: Operand<Data>): Data;
}
