import {
  checkTensor,
  scope,
  type FrozenLinearOptions,
  type FrozenWeight,
  type FusedOperations,
  type Tensor,
} from '@glulam/tensors';
import { expectShape, stored } from './checks.js';
import type { FusedCommands } from './commands.js';
import { product } from './product.js';

interface AdaptedLinear {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly forward: boolean;
  readonly u?: Tensor | undefined;
  readonly b?: Tensor | undefined;
  /** What u is made of, as v a^T, where it is not there yet. */
  readonly inner?: { readonly v: Tensor; readonly a: Tensor } | undefined;
  readonly factor?: number;
  readonly outScale?: Tensor | undefined;
  readonly bias?: Tensor | undefined;
}

function expectFloats(name: string, x: Tensor | undefined, ...shape: readonly number[]): void {
  if (x === undefined) return;
  checkTensor('frozenLinear', x, 'float32');
  expectShape('frozenLinear', name, x, shape);
}

/**
 * y = outScale * (W (inScale * x) + scale * B A dropout(x)) + bias.
 *
 * The product with W has operands of the engine's precision; the low-rank path is float32 arithmetic on x as it is
 * stored, and so are the gradients of A and B. Everything is summed in float32 and rounded once to the output's type.
 */
export function frozenLinear(commands: FusedCommands): FusedOperations['frozenLinear'] {
  const { make, run, precision } = commands;
  const bfloat16 = precision === 'bfloat16';

  /** z = x w + factor u b with w transposed where `forward`, y = z * outScale + bias: see commands/layouts.ts. */
  const adaptedLinear = (
    y: Tensor,
    z: Tensor | undefined,
    x: Tensor,
    weight: FrozenWeight,
    { m, n, k, forward, u, b, inner, factor = 1, outScale, bias }: AdaptedLinear,
  ): void =>
    run('adaptedLinear', {
      y,
      z,
      x,
      w: weight,
      u,
      b: u && b,
      outScale,
      bias,
      v: inner?.v,
      a: inner?.a,
      m,
      n,
      k,
      forward,
      rank: u?.shape[1] ?? 0,
      factor,
      bfloat16,
      type: y.dtype,
      typeOfZ: (z ?? y).dtype,
    });
  /** x * scale + bias along columns, in `type`. */
  const scaleColumns = (
    x: Tensor,
    scale: Tensor | undefined,
    bias: Tensor | undefined,
    type: Tensor['dtype'],
  ): Tensor => {
    const y = make(x.shape, type);
    run('scaleColumns', { y, x, scale, bias, rows: x.shape[0]!, columns: x.shape[1]!, type });
    return y;
  };
  /** Sums of x, or of x * y, down each column. */
  const columnSums = (x: Tensor, y?: Tensor): Tensor => {
    const sums = make([x.shape[1]!]);
    run('columnSums', { sums, x, y, rows: x.shape[0]!, columns: x.shape[1]! });
    return sums;
  };
  /** Inverted dropout; the mask follows from the key, so backward draws it again instead of keeping it. */
  const dropped = (x: Tensor, dropout: FrozenLinearOptions['dropout']): Tensor => {
    if (dropout === undefined || dropout.rate === 0) return x;
    const y = make(x.shape);
    run('dropout', { y, x, elements: x.size, rate: dropout.rate, key: dropout.key });
    return y;
  };

  return {
    forward({ x, inScale, outScale, A, B, bias }, { weight, scale, dropout, type }, keep) {
      const [m, k] = stored('frozenLinear', x);
      const [n] = weight.shape as [number, number];
      const r = A?.shape[0] ?? 0;
      expectShape('frozenLinear', weight.name, weight, [n, k]);
      expectFloats('inScale', inScale, k);
      expectFloats('outScale', outScale, n);
      expectFloats('A', A, r, k);
      expectFloats('B', B, n, r);
      expectFloats('bias', bias, n);
      const scaled = inScale === undefined ? x : scaleColumns(x, inScale, undefined, 'float32');
      const adapted = A !== undefined && B !== undefined;
      const inner = adapted ? { v: dropped(x, dropout), a: A } : undefined;
      const u = adapted ? make([m, r]) : undefined;
      const output = make([m, n], type);
      // The gradient of outScale reads what it multiplied, kept like any activation.
      const z = keep && outScale !== undefined ? make([m, n], precision) : undefined;
      adaptedLinear(output, z, scaled, weight, {
        m,
        n,
        k,
        forward: true,
        u,
        b: B,
        inner,
        factor: scale,
        outScale,
        bias,
      });
      // Without an adapter no gradient reads x, which may be large.
      const read = A === undefined && inScale === undefined ? undefined : x;
      return { output, saved: keep ? { x: read, inScale, outScale, A, B, u, z } : {} };
    },

    backward({ x, inScale, outScale, A, B, u, z }, gradient, { weight, scale, dropout }, needs) {
      const [m] = gradient.shape as [number, number];
      const [n, k] = weight.shape as [number, number];
      return scope(() => {
        const dz = outScale === undefined ? gradient : scaleColumns(gradient, outScale, undefined, 'float32');
        const gradients: Record<string, Tensor | undefined> = {};
        if (needs.has('bias')) gradients['bias'] = columnSums(gradient);
        if (needs.has('outScale') && z !== undefined) gradients['outScale'] = columnSums(gradient, z);

        let du: Tensor | undefined;
        if (A !== undefined && B !== undefined && u !== undefined) {
          const r = A.shape[0]!;
          if (needs.has('B')) {
            gradients['B'] = make(B.shape);
            product(commands, 'frozenLinear', gradients['B'], dz, u, {
              m: n,
              n: r,
              k: m,
              transposeA: true,
              alpha: scale,
            });
          }
          if (needs.has('A') || needs.has('x')) {
            du = make([m, r]);
            product(commands, 'frozenLinear', du, dz, B, { m, n: r, k: n, alpha: scale });
          }
          if (needs.has('A')) {
            gradients['A'] = make(A.shape);
            product(commands, 'frozenLinear', gradients['A'], du!, dropped(x!, dropout), {
              m: r,
              n: k,
              k: m,
              transposeA: true,
            });
          }
        }
        if (!needs.has('x') && !needs.has('inScale')) return gradients;

        const lowRank = du === undefined || !needs.has('x') ? {} : { u: du, b: A };
        const drops = dropout !== undefined && dropout.rate > 0;
        if (inScale === undefined && !drops) {
          gradients['x'] = make([m, k]);
          adaptedLinear(gradients['x'], undefined, dz, weight, { m, n: k, k: n, forward: false, ...lowRank });
          return gradients;
        }
        // Through the frozen path into what comes down the low-rank one: no gradient of x is written twice over.
        let dx: Tensor | undefined;
        if (lowRank.u !== undefined) {
          const low = make([m, k]);
          product(commands, 'frozenLinear', low, lowRank.u, A!, { m, n: k, k: A!.shape[0]! });
          dx = dropped(low, dropout);
        }
        if (inScale === undefined) {
          const into = dx === undefined ? {} : { into: { beta: 1, row: 0 } as const };
          dx ??= make([m, k]);
          product(commands, 'frozenLinear', dx, dz, weight, { m, n: k, k: n, bfloat16, ...into });
          gradients['x'] = dx;
          return gradients;
        }
        const dScaled = make([m, k]);
        product(commands, 'frozenLinear', dScaled, dz, weight, { m, n: k, k: n, bfloat16 });
        if (needs.has('inScale')) gradients['inScale'] = columnSums(dScaled, x);
        if (needs.has('x')) {
          const direct = scaleColumns(dScaled, inScale, undefined, 'float32');
          if (dx !== undefined) run('accumulate', { target: direct, x: dx, elements: direct.size });
          gradients['x'] = direct;
        }
        return gradients;
      });
    },
  };
}
