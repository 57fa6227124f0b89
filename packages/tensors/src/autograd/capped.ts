import type { Tensor } from '../contract/tensor.js';
import type { Operations } from './operations.js';

/** softCap * tanh(x / softCap) */
export function capped(ops: Operations, x: Tensor, softCap: number): Tensor {
  // tanh(x) = 2 sigmoid(2 x) - 1
  return ops.affine(ops.sigmoid(ops.affine(x, 2 / softCap, 0)), 2 * softCap, -softCap);
}
