import { scope, type FrozenLinearOptions, type FrozenWeight, type FusedOperations, type Tensor } from '@glulam/tensors';
import { bfloat16Parts } from './bfloat16-parts.js';
import { tfTypeOf, tfTypes, type TfTensor } from './binding.js';
import { dropoutMask } from './dropout-mask.js';
import type { FusedContext } from './fused-context.js';

const { float32, bfloat16 } = tfTypes;

/**
 * x W^T, or dz W, of the engine's precision. TensorFlow's bfloat16 product sums in float32 and rounds its result to
 * bfloat16, at twice the speed of float32: it serves where a result is kept so, and backward.
 */
export function frozenProduct(
  { ops, shell, weight: whole }: FusedContext,
  x: TfTensor,
  weight: FrozenWeight,
  transpose: boolean,
): TfTensor {
  const type = tfTypeOf(shell.precision);
  return ops.matmul(ops.cast(x, type), ops.cast(whole(weight), type), false, transpose);
}

/** x rounded to the engine's precision, as float32: an operand of a product that is not rounded. */
export function exact({ ops, shell }: FusedContext, x: TfTensor): TfTensor {
  return ops.cast(ops.cast(x, tfTypeOf(shell.precision)), float32);
}

/** y = outScale * (W (inScale * x) + scale * B A dropout(x)) + bias; all but the product with W is float32. */
export function frozenLinear(context: FusedContext): FusedOperations['frozenLinear'] {
  const { ops, of, wide, make, makeMany } = context;
  const { precision } = context.shell;
  const { mul, add, matmul, cast, scalar } = ops;
  const name = 'frozenLinear';

  const dropped = (x: TfTensor, dropout: FrozenLinearOptions['dropout']): TfTensor => {
    const mask = dropoutMask(context.shell.backend.host, x.shape, dropout);
    return mask === undefined ? x : mul(x, ops.floats(mask, x.shape));
  };
  /** As float32, and kept: several products read the same input, one after the other. */
  const wideInput = (x: Tensor): TfTensor =>
    of(x).dtype === float32 ? of(x) : context.keep('wide input', [of(x)], () => [wide(x)])[0]!;
  const turned = (x: TfTensor): TfTensor => ops.transpose(x, [1, 0]);
  const columnSums = (x: TfTensor): TfTensor => ops.reshape(ops.sum(x, 0), [x.shape[1]!]);

  return {
    forward({ x, inScale, outScale, A, B, bias }, { weight, scale, dropout, type }, keep) {
      const m = x.shape[0]!;
      const [n] = weight.shape as [number, number];
      // Whatever is still added or multiplied after the product wants it whole.
      const rounded = type === 'bfloat16' && precision === 'bfloat16' && outScale === undefined && bias === undefined;
      return scope(() => {
        // scale * x A^T
        const u =
          A === undefined || B === undefined
            ? undefined
            : make(name, [m, A.shape[0]!], 'float32', () =>
                mul(matmul(dropped(wideInput(x), dropout), of(A), false, true), scalar(scale)),
              );
        const scaled = (): TfTensor => (inScale === undefined ? of(x) : mul(wide(x), of(inScale)));
        const sum = (): TfTensor => {
          if (rounded) return frozenProduct(context, scaled(), weight, true);
          const left = x.dtype === 'bfloat16' && inScale === undefined ? wideInput(x) : exact(context, scaled());
          const product = matmul(left, exact(context, context.weight(weight)), false, true);
          return u === undefined ? product : add(product, matmul(of(u), of(B!), false, true));
        };
        /**
         * [x, u] [W, B]^T: one product that rounds once. Rounded before B u is added, W x would swallow what is less
         * than half a unit in its last place, which is all that the first steps of training do.
         */
        const folded = (): TfTensor => {
          const [uHigh, uLow] = bfloat16Parts(ops, of(u!), 2) as [TfTensor, TfTensor];
          const [bHigh, bLow] = bfloat16Parts(ops, of(B!), 2) as [TfTensor, TfTensor];
          const left = ops.concatenate([cast(scaled(), bfloat16), uHigh, uLow, uHigh], 1);
          const right = ops.concatenate([cast(context.weight(weight), bfloat16), bHigh, bHigh, bLow], 1);
          return matmul(left, right, false, true);
        };
        // What outScale multiplies is kept for its gradient, like any activation.
        const kept = keep && outScale !== undefined ? [{ shape: [m, n], dtype: precision }] : [];
        const [output, z] = makeMany(name, [{ shape: [m, n], dtype: type }, ...kept], () => {
          if (rounded && u !== undefined) return [folded()];
          const product = sum();
          let y = outScale === undefined ? product : mul(product, of(outScale));
          if (bias !== undefined) y = add(y, of(bias));
          y = cast(y, tfTypeOf(type));
          return kept.length === 0 ? [y] : [y, cast(product, tfTypeOf(precision))];
        });
        return { output: output!, saved: keep ? { x, inScale, outScale, A, B, u, z } : {} };
      });
    },

    backward({ x, inScale, outScale, A, B, u, z }, gradient, { weight, scale, dropout }, needs) {
      const [m, k] = x!.shape as [number, number];
      const [n] = weight.shape as [number, number];
      return scope(() => {
        const gradients: Record<string, Tensor | undefined> = {};
        const give = (input: string, shape: readonly number[], body: () => TfTensor): void => {
          if (needs.has(input)) gradients[input] = make(name, shape, 'float32', body);
        };
        const dz =
          outScale === undefined
            ? gradient
            : make(name, gradient.shape, 'float32', () => mul(of(gradient), of(outScale)));
        if (gradient.shape[1] !== undefined) {
          give('bias', [gradient.shape[1]], () => columnSums(of(gradient)));
          if (z !== undefined) give('outScale', [gradient.shape[1]], () => columnSums(mul(of(gradient), wide(z))));
        }
        let du: Tensor | undefined;
        if (A !== undefined && B !== undefined && u !== undefined) {
          // TensorFlow is faster with r rows than with r columns.
          give('B', B.shape, () => turned(matmul(of(u), of(dz), true, false)));
          if (needs.has('A') || needs.has('x'))
            du = make(name, u.shape, 'float32', () => matmul(of(dz), mul(of(B), scalar(scale))));
          give('A', A.shape, () => matmul(of(du!), dropped(wideInput(x!), dropout), true, false));
        }
        if (!needs.has('x') && !needs.has('inScale')) return gradients;

        const through = (): TfTensor => cast(frozenProduct(context, of(dz), weight, false), float32);
        /** The same with the low-rank path as further rows: a copy of the weight, and fewer passes over dx. */
        const folded = (): TfTensor => {
          const parts = (x: TfTensor, more: TfTensor, axis: number): TfTensor =>
            ops.concatenate([cast(x, bfloat16), cast(more, bfloat16)], axis);
          const product = matmul(parts(of(dz), of(du!), 1), parts(context.weight(weight), of(A!), 0));
          return cast(product, float32);
        };
        const low = (dx: TfTensor): TfTensor =>
          du === undefined ? dx : add(dx, dropped(matmul(of(du), of(A!)), dropout));
        if (inScale === undefined) {
          const isPlain = du !== undefined && (dropout === undefined || dropout.rate === 0);
          const folds = isPlain && precision === 'bfloat16' && n * (m + k) < 4 * m * k;
          give('x', [m, k], () => (folds ? folded() : low(through())));
          return gradients;
        }
        const dScaled = make(name, [m, k], 'float32', through);
        give('inScale', [k], () => columnSums(mul(of(dScaled), wide(x!))));
        give('x', [m, k], () => low(mul(of(dScaled), of(inScale))));
        return gradients;
      });
    },
  };
}
