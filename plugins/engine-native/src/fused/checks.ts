import { formatShape } from '@glulam/files';
import { checkTensor, TensorsError, type FrozenWeight, type Tensor } from '@glulam/tensors';

/** The two lengths of a matrix of activations, float32 or bfloat16. */
export function stored(operation: string, x: Tensor): readonly [rows: number, columns: number] {
  checkTensor(operation, x, 'float32', 'bfloat16');
  if (x.shape.length !== 2) throw mismatch(operation, 'activations', x.shape, '[rows, columns]');
  return x.shape as unknown as readonly [number, number];
}

/** An input that has to have this very shape. */
export function expectShape(operation: string, what: string, x: Tensor | FrozenWeight, shape: readonly number[]): void {
  if (x.shape.length !== shape.length || x.shape.some((length, axis) => length !== shape[axis])) {
    throw mismatch(operation, what, x.shape, formatShape(shape));
  }
}

function mismatch(operation: string, what: string, got: readonly number[], expected: string): TensorsError {
  return new TensorsError(
    'SHAPE_MISMATCH',
    `${operation}: got ${what} of shape ${formatShape(got)}; expected ${expected}`,
  );
}
