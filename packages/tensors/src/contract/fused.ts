import type { DType } from '@glulam/files';
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
  /** Computes the output. Without `keep` no backward follows, and `saved` may be empty. */
  forward(inputs: Inputs, options: Options, keep: boolean): { readonly output: Tensor; readonly saved: Named };
  /** `gradient` is that of the output, float32. `saved` is what `forward` returned. */
  backward(saved: Named, gradient: Tensor, options: Options, needs: ReadonlySet<string>): Named;
}

/** The constants of `FusedOperations.rmsNorm`. */
export interface RmsNormOptions {
  /** Added to the mean square, such as 1e-5. */
  readonly epsilon: number;
  /** Dtype of the output. */
  readonly type: DType;
}

/** The constants of `FusedOperations.rope`. */
export interface RopeOptions {
  /** [tokens, pairs], float32 each; constant. Element i of a head is rotated with element i + pairs, for i < pairs. */
  readonly cos: Tensor;
  /** As `cos`. */
  readonly sin: Tensor;
  /** Elements of one head: 2 pairs, or more, where the elements after them stay as they are. */
  readonly headSize: number;
  /** Dtype of the output. */
  readonly type: DType;
}

/**
 * Rows of q that see rows of k and v: row queryStart + i (0 <= i < queryLength) stands at position
 * keyLength - queryLength + i among its segment's keys and sees those up to its own position.
 * Packed sequences are several segments; decoding is queryLength = 1.
 */
export interface Segment {
  /** First row of q. */
  readonly queryStart: number;
  /** Number of rows of q. */
  readonly queryLength: number;
  /** First row of k and v. */
  readonly keyStart: number;
  /** Number of rows of k and v, at least `queryLength`. */
  readonly keyLength: number;
}

/** Sizes, mask and packing of `FusedOperations.attention`. */
export interface AttentionOptions {
  /** Query heads, a multiple of `keyValueHeads`. */
  readonly heads: number;
  /** Key and value heads; heads / keyValueHeads consecutive query heads share one (Ainslie et al. 2023). */
  readonly keyValueHeads: number;
  /** Elements of one head. */
  readonly headSize: number;
  /** How many last keys a query sees, its own included; 0 means all. */
  readonly window: number;
  /** Multiplies q k^T before softmax, usually 1 / sqrt(headSize). */
  readonly scale: number;
  /** Which rows of q see which rows of k and v. Together they cover the rows of q in order. */
  readonly segments: readonly Segment[];
  /** Dtype of the output. */
  readonly type: DType;
}

/** As `AttentionOptions`, for scores that are bounded. */
export interface CappedAttentionOptions extends AttentionOptions {
  /** Each score s becomes softCap * tanh(s / softCap), before the mask (Gemma 2). */
  readonly softCap: number;
}

/** The constants of `FusedOperations.frozenLinear`. */
export interface FrozenLinearOptions {
  /** [out, in] */
  readonly weight: FrozenWeight;
  /** The low-rank path's factor. */
  readonly scale: number;
  /** Inverted dropout on the input of the low-rank path only; the key fixes which elements are dropped. */
  readonly dropout?: { readonly rate: number; readonly key: RandomKey } | undefined;
  /** Dtype of the output. */
  readonly type: DType;
}

/** The head and labels of `FusedOperations.tokenLosses`. */
export interface TokenLossesOptions {
  /** The output head, [vocabulary, hidden]. */
  readonly weight: FrozenWeight;
  /** One a row of x; negative means: no loss here. */
  readonly labels: Int32Array;
}

/** As `TokenLossesOptions`, for logits that are bounded. */
export interface CappedTokenLossesOptions extends TokenLossesOptions {
  /** Each logit l becomes softCap * tanh(l / softCap), before the softmax (Gemma 2). */
  readonly softCap: number;
}

/** One tensor under AdamW; all four of one shape, float32, updated in place. */
export interface AdamWUpdate {
  /** The trained tensor. */
  readonly parameter: Tensor;
  /** Its gradient, before `AdamWOptions.gradientScale`; read only. */
  readonly gradient: Tensor;
  /** Running mean of the scaled gradients; zeros before the first step. */
  readonly mean: Tensor;
  /** Running mean of the squared scaled gradients; zeros before the first step. */
  readonly variance: Tensor;
  /** Learning rate of this tensor in this step. */
  readonly learningRate: number;
  /** The parameter is first multiplied by 1 - learningRate * weightDecay. */
  readonly weightDecay: number;
}

/** What all tensors of one AdamW step have in common (Loshchilov & Hutter 2019). */
export interface AdamWOptions {
  /** Decay of the running mean of gradients. */
  readonly beta1: number;
  /** Decay of the running mean of squared gradients. */
  readonly beta2: number;
  /** Added to the root of the bias-corrected variance, as in torch.optim.AdamW. */
  readonly epsilon: number;
  /** 1 at the first step. */
  readonly step: number;
  /** Multiplies every gradient first: clipping. */
  readonly gradientScale: number;
}

/** Every named operation. `compositions.ts` says in elementary operations what each computes. */
export type FusedOperations = {
  /** y = x / sqrt(mean(x^2) + epsilon) * weight, x [tokens, hidden], weight [hidden] (Zhang & Sennrich 2019). */
  readonly rmsNorm: Fused<{ x: Tensor; weight: Tensor }, RmsNormOptions>;
  /** Rotary embedding (Su et al. 2021) in the rotate-half layout, x [tokens, heads * headSize]. */
  readonly rope: Fused<{ x: Tensor }, RopeOptions>;
  /** `rope` of a part of each head: `cos` and `sin` have fewer than headSize / 2 columns. */
  readonly partialRope: Fused<{ x: Tensor }, RopeOptions>;
  /** Causal grouped-query attention: q [queries, heads * headSize], k and v [keys, keyValueHeads * headSize]. */
  readonly attention: Fused<{ q: Tensor; k: Tensor; v: Tensor }, AttentionOptions>;
  /** `attention` with bounded scores. */
  readonly cappedAttention: Fused<{ q: Tensor; k: Tensor; v: Tensor }, CappedAttentionOptions>;
  /** y = gate * sigmoid(gate) * up (Shazeer 2020). */
  readonly swiglu: Fused<{ gate: Tensor; up: Tensor }, { readonly type: DType }>;
  /** y = gelu(gate) * up (Shazeer 2020), gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))). */
  readonly gegluTanh: Fused<{ gate: Tensor; up: Tensor }, { readonly type: DType }>;
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
  /** `tokenLosses` with bounded logits. */
  readonly cappedTokenLosses: Fused<{ x: Tensor }, CappedTokenLossesOptions>;
  /** Rows of a frozen embedding [vocabulary, hidden], as float32. */
  readonly embedding: (weight: FrozenWeight, ids: Int32Array) => Tensor;
  /** Decoupled weight decay (Loshchilov & Hutter 2019), as torch.optim.AdamW computes it. */
  readonly adamW: (updates: readonly AdamWUpdate[], options: AdamWOptions) => void;
  /** The sum of all squares over all tensors, as a scalar []. */
  readonly sumOfSquares: (tensors: readonly Tensor[]) => Tensor;
};

/**
 * What an engine computes in ways of its own, by the names of operations: core's (`FusedOperations`), and those that
 * plugins define (`NamedOperation`), each a `Fused` pair.
 */
export type Overrides = Partial<FusedOperations> & Readonly<Record<string, unknown>>;
