import type { Shape } from '@glulam/files';
import { broadcastStrides, stridesOf } from '../../shell/shapes.js';

/** What the reference engine stores: float32 values, bfloat16 bits or int32 values. */
export type ReferenceValues = Float32Array | Uint16Array | Int32Array;

/** Where each element of `shape`, in row-major order, lies in an array that is walked with `strides` from `first`. */
export function offsetsOf(shape: Shape, strides: readonly number[], first = 0): Int32Array {
  let offsets = Int32Array.of(first);
  shape.forEach((length, axis) => {
    const longer = new Int32Array(offsets.length * length);
    for (let i = 0; i < longer.length; i++)
      longer[i] = offsets[Math.floor(i / length)]! + (i % length) * strides[axis]!;
    offsets = longer;
  });
  return offsets;
}

/** Offsets of the region of `size` at `start` in an array of shape `shape`. */
export function regionOf(shape: Shape, start: Shape, size: Shape): Int32Array {
  const strides = stridesOf(shape);
  return offsetsOf(
    size,
    strides,
    start.reduce((sum, index, axis) => sum + index * strides[axis]!, 0),
  );
}

/** The values as if they had been repeated to shape `to`. */
export function broadcastValues(values: Float32Array, from: Shape, to: Shape): Float32Array {
  return pick(values, offsetsOf(to, broadcastStrides(from, to)));
}

/** The values at these offsets, as an array of the same type. */
export function pick<V extends ReferenceValues>(values: V, offsets: Int32Array): V {
  const picked = new (values.constructor as new (length: number) => V)(offsets.length);
  offsets.forEach((offset, i) => (picked[i] = values[offset]!));
  return picked;
}

/** Put the given values at these offsets. */
export function place(values: ReferenceValues, offsets: Int32Array, given: ReferenceValues): void {
  offsets.forEach((offset, i) => (values[offset] = given[i]!));
}
