import type { Shape } from '@glulam/files';
import { sameShape, type Operand } from '@glulam/tensors';
import type { Backend } from './backend.js';

/**
 * `target` with `value` at `start`, as new data: along each axis that the value does not cover, what lies before it,
 * the part that it lies in, and what lies after.
 */
export function overwrite<Data>(
  backend: Backend<Data>,
  target: Operand<Data>,
  value: Operand<Data>,
  start: Shape,
): Data {
  const made: Data[] = [];
  const operand = (data: Data, shape: Shape): Operand<Data> => ({ data, shape, dtype: target.dtype });
  const cut = (x: Operand<Data>, axis: number, from: number, to: number): Operand<Data> => {
    const size = x.shape.with(axis, to - from);
    const data = backend.slice(
      x,
      x.shape.map((_, other) => (other === axis ? from : 0)),
      size,
    );
    made.push(data);
    return operand(data, size);
  };
  const splice = (x: Operand<Data>): Data => {
    if (sameShape(x.shape, value.shape))
      return backend.slice(
        value,
        value.shape.map(() => 0),
        value.shape,
      );
    const axis = x.shape.findIndex((length, other) => length !== value.shape[other]);
    const [length, from] = [x.shape[axis]!, start[axis]!];
    const to = from + value.shape[axis]!;
    const data = splice(cut(x, axis, from, to));
    made.push(data);
    const parts = [operand(data, x.shape.with(axis, to - from))];
    if (from > 0) parts.unshift(cut(x, axis, 0, from));
    if (to < length) parts.push(cut(x, axis, to, length));
    return backend.concatenate(parts, axis);
  };
  try {
    return splice(target);
  } finally {
    for (const data of made) backend.free(data);
  }
}
