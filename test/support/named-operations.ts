import type { DType } from '@glulam/files';
import type { Engine, Fused, NamedOperation, Tensor } from '@glulam/tensors';

// Two operations as a family's plugin would bring them: one with a gradient of its own, one with an override for an engine.

interface Typed {
  /** Dtype of the output. */
  readonly type: DType;
}

const cubic = 0.044715;
const root = Math.sqrt(2 / Math.PI);

/** tanh(z) = 2 sigmoid(2 z) - 1 */
const tanh = (engine: Engine, z: Tensor): Tensor =>
  engine.affine(engine.unary('sigmoid', engine.affine(z, 2, 0)), 2, -1);

/** The gradient in one expression: the composition's tape would hold six tensors of x's size. */
const geluPair = (engine: Engine): Fused<{ x: Tensor }, Typed> => {
  const mul = (a: Tensor, b: Tensor): Tensor => engine.binary('mul', a, b);
  const inner = (x: Tensor): Tensor => mul(x, engine.affine(mul(x, x), root * cubic, root));
  return {
    forward({ x }, { type }, keep) {
      const wide = engine.cast(x, 'float32');
      const half = engine.affine(tanh(engine, inner(wide)), 0.5, 0.5);
      return { output: engine.cast(mul(wide, half), type), saved: keep ? { x } : {} };
    },
    backward({ x }, dy) {
      const wide = engine.cast(x!, 'float32');
      const t = tanh(engine, inner(wide));
      // d/dx x (1 + t) / 2 = (1 + t) / 2 + x (1 - t^2) (root + 3 root cubic x^2) / 2
      const slope = engine.affine(mul(wide, wide), 1.5 * root * cubic, 0.5 * root);
      const rest = mul(mul(wide, engine.affine(mul(t, t), -1, 1)), slope);
      return { x: mul(dy, engine.binary('add', engine.affine(t, 0.5, 0.5), rest)) };
    },
  };
};

/** y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (Hendrycks & Gimpel 2016, the approximation). */
export const geluTanh: NamedOperation<{ x: Tensor }, Typed> = {
  name: 'test.geluTanh',
  compose: (ops, inputs, options) => ops.node(geluPair(ops.engine), inputs, options),
};

/** How often the override of `softCap` ran forward. */
export const capped = { count: 0 };

/** y = cap tanh(x / cap), float32 (Gemma 2). */
export const softCap: NamedOperation<{ x: Tensor }, { readonly cap: number }> = {
  name: 'test.softCap',
  compose: (ops, { x }, { cap }) =>
    ops.affine(ops.sigmoid(ops.affine(ops.cast(x, 'float32'), 2 / cap, 0)), 2 * cap, -cap),
  overrides: {
    native: (engine) => ({
      forward({ x }, { cap }, keep) {
        capped.count += 1;
        const t = tanh(engine, engine.affine(engine.cast(x, 'float32'), 1 / cap, 0));
        return { output: engine.affine(t, cap, 0), saved: keep ? { t } : {} };
      },
      backward: ({ t }, dy) => ({ x: engine.binary('mul', dy, engine.affine(engine.binary('mul', t!, t!), -1, 1)) }),
    }),
  },
};
