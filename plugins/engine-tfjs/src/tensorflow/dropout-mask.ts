import { sizeOf, type Shape } from '@glulam/files';
import type { FrozenLinearOptions } from '@glulam/tensors';
import type { Host } from '../host.js';

/** Inverted dropout: 0, or what keeps the mean. Backward draws it again instead of keeping it. */
export function dropoutMask(
  host: Host,
  shape: Shape,
  dropout: FrozenLinearOptions['dropout'],
): Float32Array | undefined {
  if (dropout === undefined || dropout.rate === 0) return undefined;
  const { rate, key } = dropout;
  const [factor, least] = [1 / (1 - rate), Math.fround(rate)];
  return host.uniforms(sizeOf(shape), key).map((value) => (value >= least ? factor : 0));
}
