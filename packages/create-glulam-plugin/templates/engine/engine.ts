import {
  createReferenceEngine,
  scope,
  type Engine,
  type FusedOperations,
  type Precision,
  type Tensor,
} from '@glulam/tensors';

/**
 * The reference engine with a SwiGLU of its own. An engine grows from here: its own tensors and elementary operations in
 * place of the reference's, and one fused operation after another; the suite compares each with what it stands for.
 */
export function createMyKindEngine(precision: Precision): Engine {
  const engine = createReferenceEngine({ precision });
  return {
    ...engine,
    kind: 'my_kind',
    description: 'the reference engine with a SwiGLU of its own',
    fused: { swiglu: swiglu(engine) },
  };
}

/** y = gate * sigmoid(gate) * up, forward and backward; inputs may be kept in bfloat16, gradients are float32. */
function swiglu(engine: Engine): FusedOperations['swiglu'] {
  const wide = (x: Tensor): Tensor => engine.cast(x, 'float32');
  const mul = (a: Tensor, b: Tensor): Tensor => engine.binary('mul', a, b);
  return {
    forward: ({ gate, up }, { type }) => ({
      output: scope(() => {
        const g = wide(gate);
        return engine.cast(mul(mul(g, engine.unary('sigmoid', g)), wide(up)), type);
      }),
      // Backward computes the rest again from these.
      saved: { gate, up },
    }),
    backward: ({ gate, up }, gradient, _, needs) =>
      scope(() => {
        const g = wide(gate!);
        const sigmoid = engine.unary('sigmoid', g);
        const swish = mul(g, sigmoid);
        // d swish / d gate = sigmoid + swish (1 - sigmoid)
        const slope = engine.binary('add', sigmoid, mul(swish, engine.affine(sigmoid, -1, 1)));
        return {
          ...(needs.has('gate') && { gate: mul(gradient, mul(slope, wide(up!))) }),
          ...(needs.has('up') && { up: mul(gradient, swish) }),
        };
      }),
  };
}
