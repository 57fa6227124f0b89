import type { FrozenWeight, Tensor } from '@glulam/tensors';
import type { FusedCommands } from './commands.js';

interface ProductOptions {
  /** c = alpha * a b + beta * c, [m, k] x [k, n]. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
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
  { run }: FusedCommands,
  operation: 'frozenLinear' | 'tokenLosses',
  c: Tensor,
  a: Tensor | FrozenWeight,
  b: Tensor | FrozenWeight,
  options: ProductOptions,
): void {
  const { m, n, k, transposeA = false, transposeB = false, alpha = 1, bfloat16 = false, into } = options;
  run(operation, {
    c,
    a,
    b,
    batch: 1,
    m,
    n,
    k,
    transposeA,
    transposeB,
    alpha,
    beta: into?.beta ?? 0,
    bfloat16,
    type: c.dtype,
    exists: into !== undefined,
    offset: (into?.row ?? 0) * n,
    elements: c.size,
  });
}
