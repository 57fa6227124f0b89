import type { Shape } from '@glulam/files';
import { scope, type FusedOperations, type Tensor } from '@glulam/tensors';
import { tfTypeOf, type TfTensor } from './binding.js';
import type { FusedContext } from './fused-context.js';

/** y = x / rms * weight; backward has the whole gradient in one expression, where the composition has a dozen. */
export function rmsNorm(context: FusedContext): FusedOperations['rmsNorm'] {
  const { ops, of, wide, makeMany } = context;
  const { mul, add, sum, scalar, run } = ops;
  const inverse = (x: TfTensor, epsilon: number): TfTensor => {
    const meanSquare = mul(sum(run('Square', [x]), 1), scalar(1 / x.shape[1]!));
    return run('Rsqrt', [add(meanSquare, scalar(epsilon))]);
  };
  return {
    forward: ({ x, weight }, { epsilon, type }, keep) =>
      scope(() => {
        const [output, inverses] = makeMany(
          'rmsNorm',
          [
            { shape: x.shape, dtype: type },
            { shape: [x.shape[0]!, 1], dtype: 'float32' },
          ],
          () => {
            const values = wide(x);
            const r = inverse(values, epsilon);
            return [ops.cast(mul(mul(values, r), of(weight)), tfTypeOf(type)), r];
          },
        );
        return { output: output!, saved: keep ? { x, weight, inverses } : {} };
      }),
    backward({ x, weight, inverses }, gradient, _, needs) {
      const [rows, width] = x!.shape as [number, number];
      const shapes: Shape[] = [[rows, width], ...(needs.has('weight') ? [[width]] : [])];
      const [dx, dWeight] = makeMany(
        'rmsNorm',
        shapes.map((shape) => ({ shape, dtype: 'float32' })),
        () => {
          const [values, r] = [wide(x!), of(inverses!)];
          const scaled = mul(of(gradient), of(weight!));
          // dx = r (g - x r^2 mean(g x)), with g = dy w
          const mean = mul(sum(mul(scaled, values), 1), scalar(-1 / width));
          const along = mul(values, mul(mean, mul(r, r)));
          const all = [mul(add(scaled, along), r)];
          if (needs.has('weight')) all.push(ops.reshape(sum(mul(of(gradient), mul(values, r)), 0), [width]));
          return all;
        },
      );
      return { x: dx, weight: dWeight };
    },
  };
}

/** The halves of each head are turned against each other: x cos + roll(x) (-sin, sin), where roll swaps the halves. */
export function rope(context: FusedContext): FusedOperations['rope'] {
  const { ops, of, wide, make } = context;
  const { mul, add, reshape, run } = ops;
  /** Of one pass all layers have the same tables. */
  const tablesOf = (cos: Tensor, sin: Tensor, headSize: number, back: boolean): readonly TfTensor[] =>
    context.keep(`rope ${back ? 'back' : 'forward'}`, [of(cos), of(sin)], () => {
      const table = (left: TfTensor, right: TfTensor): TfTensor =>
        reshape(ops.concatenate([left, right], 1), [cos.shape[0]!, 1, headSize]);
      const minus = run('Neg', [of(sin)]);
      return [table(of(cos), of(cos)), back ? table(of(sin), minus) : table(minus, of(sin))];
    });
  const turn = (x: TfTensor, [cos, sin]: readonly TfTensor[], headSize: number): TfTensor => {
    const [tokens, width] = x.shape as [number, number];
    const heads = reshape(x, [tokens, width / headSize, headSize]);
    const swapped = run('Roll', [heads, ops.list([headSize / 2]), ops.list([2])]);
    return reshape(add(mul(heads, cos!), mul(swapped, sin!)), [tokens, width]);
  };
  return {
    forward({ x }, { cos, sin, headSize, type }) {
      const output = make('rope', x.shape, type, () =>
        ops.cast(turn(wide(x), tablesOf(cos, sin, headSize, false), headSize), tfTypeOf(type)),
      );
      return { output, saved: {} };
    },
    backward(_, gradient, { cos, sin, headSize }) {
      // The transpose of a rotation turns the other way.
      const x = make('rope', gradient.shape, 'float32', () =>
        turn(of(gradient), tablesOf(cos, sin, headSize, true), headSize),
      );
      return { x };
    },
  };
}

/** y = gate sigmoid(gate) up */
export function swiglu(context: FusedContext): FusedOperations['swiglu'] {
  const { ops, of, wide, make, makeMany } = context;
  const { mul, add, run } = ops;
  return {
    forward: ({ gate, up }, { type }, keep) => ({
      output: make('swiglu', gate.shape, type, () => {
        return ops.cast(mul(ops.swish(wide(gate)), wide(up)), tfTypeOf(type));
      }),
      saved: keep ? { gate, up } : {},
    }),
    backward({ gate, up }, gradient) {
      const result = { shape: gate!.shape, dtype: 'float32' as const };
      const [dGate, dUp] = makeMany('swiglu', [result, result], () => {
        const [g, dy] = [wide(gate!), of(gradient)];
        const s = run('Sigmoid', [g]);
        // d (g s) = s + g s (1 - s); SigmoidGrad(s, g) = g s (1 - s)
        const slope = add(s, run('SigmoidGrad', [s, g]));
        return [mul(mul(dy, wide(up!)), slope), mul(dy, mul(g, s))];
      });
      return { gate: dGate, up: dUp };
    },
  };
}
