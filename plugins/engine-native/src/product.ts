import type { DType } from '@glulam/files';
import type { FrozenWeight, Tensor } from '@glulam/tensors';
import { typeNumber, type Device } from './device.js';

interface ProductOptions {
  /** c = alpha * a b + beta * c, each matrix of the batch [m, k] x [k, n]. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch?: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
  /** Round both operands to bfloat16. */
  readonly bfloat16?: boolean;
  /** Write to (`beta` 0) or add to (1) an existing c, from this row on. */
  readonly into?: { readonly beta: 0 | 1; readonly row: number };
}

/** A product; c is made unless `into` says it exists. Operands may be float32, bfloat16 or a frozen weight of any format. */
export function product(
  device: Device,
  operation: 'matmul' | 'frozenLinear' | 'tokenLosses',
  c: Tensor,
  a: Tensor | FrozenWeight,
  b: Tensor | FrozenWeight,
  options: ProductOptions,
): void {
  const { m, n, k, batch = 1, transposeA = false, transposeB = false, alpha = 1, bfloat16 = false, into } = options;
  const type: DType = c.dtype;
  device.run(
    operation,
    [c, a, b],
    [
      ...[batch, m, n, k, Number(transposeA), Number(transposeB), alpha, into?.beta ?? 0, Number(bfloat16)],
      ...[typeNumber(type), Number(into !== undefined), (into?.row ?? 0) * n, c.size],
    ],
  );
}
