import type { DType } from './dtype.js';
import type { FrozenWeight } from './engine.js';
import type { RandomKey } from './philox.js';
import type { Tensor } from './tensor.js';

/** Tensors by name; an absent one is simply missing. */
export type Named = Readonly<Record<string, Tensor | undefined>>;

/**
 * A fused operation as a forward and backward pair; an override replaces both. `forward` returns what `backward` wants
 * of it (`saved` may repeat inputs); nothing else outlives the forward. `backward` returns a gradient (float32, of the
 * input's shape) for each name in `needs`. Options hold no tensors that take gradients. Both are called within a scope,
 * which releases what else they make.
 */
export interface Fused<Inputs extends Named, Options> {
  /** The output takes less time to compute again than it is worth in memory: backward passes that read it do so. */
  readonly recomputes?: boolean;
  forward(inputs: Inputs, options: Options, keep: boolean): { readonly output: Tensor; readonly saved: Named };
  backward(saved: Named, gradient: Tensor, options: Options, needs: ReadonlySet<string>): Named;
}

export interface RmsNormOptions {
  readonly epsilon: number;
  readonly type: DType;
}

export interface RopeOptions {
  /** [tokens, headSize / 2], float32 each; constant. */
  readonly cos: Tensor;
  readonly sin: Tensor;
  readonly headSize: number;
  readonly type: DType;
}

/**
 * Rows of q that see rows of k and v: row queryStart + i (0 <= i < queryLength) stands at position
 * keyLength - queryLength + i among its segment's keys and sees those up to its own position.
 * Packed sequences are several segments; decoding is queryLength = 1.
 */
export interface Segment {
  readonly queryStart: number;
  readonly queryLength: number;
  readonly keyStart: number;
  readonly keyLength: number;
}

export interface AttentionOptions {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  /** How many last keys a query sees, its own included; 0 means all. */
  readonly window: number;
  readonly scale: number;
  readonly segments: readonly Segment[];
  readonly type: DType;
}

export interface FrozenLinearOptions {
  /** [out, in] */
  readonly weight: FrozenWeight;
  /** The low-rank path's factor. */
  readonly scale: number;
  readonly dropout?: { readonly rate: number; readonly key: RandomKey } | undefined;
  readonly type: DType;
}

export interface TokenLossesOptions {
  /** The output head, [vocabulary, hidden]. */
  readonly weight: FrozenWeight;
  /** One a row of x; negative means: no loss here. */
  readonly labels: Int32Array;
}

/** One tensor under AdamW; all four of one shape, float32, updated in place. */
export interface AdamWUpdate {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly learningRate: number;
  readonly weightDecay: number;
}

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** 1 at the first step. */
  readonly step: number;
  /** Multiplies every gradient first: clipping. */
  readonly gradientScale: number;
}

/** Every named operation. `compositions.ts` says in elementary operations what each computes. */
export interface FusedOperations {
  /** y = x / sqrt(mean(x^2) + epsilon) * weight, x [tokens, hidden], weight [hidden] (Zhang & Sennrich 2019). */
  readonly rmsNorm: Fused<{ x: Tensor; weight: Tensor }, RmsNormOptions>;
  /** Rotary embedding (Su et al. 2021) in the rotate-half layout, x [tokens, heads * headSize]. */
  readonly rope: Fused<{ x: Tensor }, RopeOptions>;
  /** Causal grouped-query attention: q [queries, heads * headSize], k and v [keys, keyValueHeads * headSize]. */
  readonly attention: Fused<{ q: Tensor; k: Tensor; v: Tensor }, AttentionOptions>;
  /** y = gate * sigmoid(gate) * up (Shazeer 2020). */
  readonly swiglu: Fused<{ gate: Tensor; up: Tensor }, { readonly type: DType }>;
  /**
   * y = outScale * (W (inScale * x) + scale * B A dropout(x)) + bias, x [tokens, in], A [r, in], B [out, r],
   * inScale [in], outScale and bias [out]; the form of an adapter around a frozen linear layer.
   */
  readonly frozenLinear: Fused<
    {
      x: Tensor;
      inScale: Tensor | undefined;
      outScale: Tensor | undefined;
      A: Tensor | undefined;
      B: Tensor | undefined;
      bias: Tensor | undefined;
    },
    FrozenLinearOptions
  >;
  /** The negative log likelihood of each row's label under softmax(x W^T), 0 where it has none: [tokens]. */
  readonly tokenLosses: Fused<{ x: Tensor }, TokenLossesOptions>;
  /** Rows of a frozen embedding [vocabulary, hidden], as float32. */
  readonly embedding: (weight: FrozenWeight, ids: Int32Array) => Tensor;
  /** Decoupled weight decay (Loshchilov & Hutter 2019), as torch.optim.AdamW computes it. */
  readonly adamW: (updates: readonly AdamWUpdate[], options: AdamWOptions) => void;
  /** The sum of all squares over all tensors, as a scalar []. */
  readonly sumOfSquares: (tensors: readonly Tensor[]) => Tensor;
}
