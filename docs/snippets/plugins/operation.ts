import type { Block } from '@glulam/model';
import type { NamedOperation, Tensor } from '@glulam/tensors';

/** y = max(x, 0)^2 (So et al. 2021), float32. */
export const squaredRelu: NamedOperation<{ x: Tensor }> = {
  name: 'glulam-plugin-family-primer.squaredRelu',
  compose: (ops, { x }) => {
    const wide = ops.cast(x, 'float32');
    const positive = ops.engine.binary('greaterEqual', wide, ops.engine.full([], 0));
    const kept = ops.mul(wide, positive);
    return ops.mul(kept, kept);
  },
};

/** An MLP without a gate: down(squaredRelu(up(x))). */
export const mlp: Block = (x, _spec, { ops, linear }) => {
  const inner = ops.run(squaredRelu, { x: linear(x, 'up', ops.activation) }, undefined);
  return linear(ops.cast(inner, ops.activation), 'down', 'float32');
};
