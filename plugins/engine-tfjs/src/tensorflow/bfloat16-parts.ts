import { tfTypes, type TfTensor } from './binding.js';
import type { TfOperations } from './operations.js';

const { float32, bfloat16 } = tfTypes;

/** bfloat16 numbers whose sum has 8 significant bits of each value for every one of them: 2 give 16 bits, 3 all 24. */
export function bfloat16Parts(ops: TfOperations, x: TfTensor, count: number): readonly TfTensor[] {
  const part = ops.cast(x, bfloat16);
  if (count === 1) return [part];
  return [part, ...bfloat16Parts(ops, ops.sub(x, ops.cast(part, float32)), count - 1)];
}
