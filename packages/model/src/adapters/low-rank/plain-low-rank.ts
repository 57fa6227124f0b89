import type { SiteAdapter } from '../adapter.js';
import type { LowRankSite } from './low-rank-site.js';

/** The low-rank part alone, which is LoRA: y = F x + s (B A dropout(x) + b), F the frozen layer, with PiSSA less s B0 A0. */
export function plainLowRank(low: LowRankSite): SiteAdapter {
  return {
    parameters: low.parameters,
    firstValues: low.firstValues,
    form: (tensors, context) => ({ lowRank: low.lowRank(tensors, context), bias: low.bias(tensors, context) }),
    // A form has one dropout for all that is of low rank, and B0 A0 sees the whole x.
    apply(x, tensors, context) {
      const { dropout } = low.lowRank(tensors, context);
      if (dropout === undefined || low.firstValues === undefined) return undefined;
      const { ops, linear } = context;
      const { A, B } = low.trained(tensors, context);
      const inner = ops.matmul(ops.dropout(x, dropout), A, { transposeB: true });
      const added = ops.affine(ops.matmul(inner, B, { transposeB: true }), low.scale, 0);
      return ops.add(linear(x, low.frozen(tensors, context)), added);
    },
  };
}
