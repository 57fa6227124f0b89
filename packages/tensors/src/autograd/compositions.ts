import type { DType } from '@glulam/files';
import type { Engine, FrozenWeight } from '../contract/engine.js';
import { TensorsError } from '../errors.js';
import { capped } from './capped.js';
import { frozenProduct } from './frozen-product.js';
import { tokenLossesByRows } from './token-losses.js';
import type {
  AttentionOptions,
  FrozenLinearOptions,
  FusedOperations,
  RmsNormOptions,
  RopeOptions,
  Segment,
  TokenLossesOptions,
} from '../contract/fused.js';
import type { Operations } from './operations.js';
import type { Tensor } from '../contract/tensor.js';

// What each named operation computes, in elementary operations. Their gradients follow from those of the parts.

/** Products read values as wide as the engine's precision keeps them. */
function asOperand(ops: Operations, x: Tensor): Tensor {
  const wide = ops.cast(x, 'float32');
  return ops.activation === 'float32' ? wide : ops.cast(ops.cast(wide, ops.activation), 'float32');
}

export function rmsNorm(ops: Operations, x: Tensor, weight: Tensor, { epsilon, type }: RmsNormOptions): Tensor {
  const wide = ops.cast(x, 'float32');
  const hidden = x.shape.at(-1)!;
  const meanSquare = ops.affine(ops.sum(ops.mul(wide, wide), x.shape.length - 1), 1 / hidden, epsilon);
  return ops.cast(ops.mul(ops.mul(wide, ops.rsqrt(meanSquare)), weight), type);
}

export function rope(ops: Operations, x: Tensor, { cos, sin, headSize, type }: RopeOptions): Tensor {
  const [tokens, width] = x.shape as [number, number];
  const heads = width / headSize;
  const half = cos.shape[1]!;
  const rest = headSize - 2 * half;
  const split = ops.reshape(ops.cast(x, 'float32'), [tokens, heads, headSize]);
  const first = ops.slice(split, [0, 0, 0], [tokens, heads, half]);
  const second = ops.slice(split, [0, 0, half], [tokens, heads, half]);
  const c = ops.engine.reshape(cos, [tokens, 1, half]);
  const s = ops.engine.reshape(sin, [tokens, 1, half]);
  const turned = ops.concatenate(
    [
      ops.sub(ops.mul(first, c), ops.mul(second, s)),
      ops.add(ops.mul(second, c), ops.mul(first, s)),
      ...(rest === 0 ? [] : [ops.slice(split, [0, 0, 2 * half], [tokens, heads, rest])]),
    ],
    2,
  );
  return ops.cast(ops.reshape(turned, [tokens, width]), type);
}

/** 0 where a query sees a key, a large negative number where not: [groups * queryLength, keyLength]. */
function attentionMask({ queryLength, keyLength }: Segment, window: number, groups: number): Float32Array {
  const mask = new Float32Array(groups * queryLength * keyLength);
  for (let group = 0; group < groups; group++) {
    for (let i = 0; i < queryLength; i++) {
      const position = keyLength - queryLength + i;
      const row = (group * queryLength + i) * keyLength;
      for (let j = 0; j < keyLength; j++) {
        const seen = j <= position && (window === 0 || j > position - window);
        if (!seen) mask[row + j] = -1e30;
      }
    }
  }
  return mask;
}

export function attention(
  ops: Operations,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions & { readonly softCap?: number | undefined },
): Tensor {
  const { engine } = ops;
  const { heads, keyValueHeads, headSize, window, scale, softCap, segments, type } = options;
  const groups = heads / keyValueHeads;
  const [wideQ, wideK, wideV] = [q, k, v].map((x) => ops.cast(x, 'float32')) as [Tensor, Tensor, Tensor];
  const outputs = segments.map((segment) => {
    const { queryStart, queryLength, keyStart, keyLength } = segment;
    // [queryLength, heads, size] -> [keyValueHeads, groups * queryLength, size]: query heads share their group's keys.
    const queries = ops.reshape(
      ops.transpose(
        ops.reshape(ops.slice(wideQ, [queryStart, 0], [queryLength, heads * headSize]), [queryLength, heads, headSize]),
        [1, 0, 2],
      ),
      [keyValueHeads, groups * queryLength, headSize],
    );
    const [keys, values] = [wideK, wideV].map((x) =>
      ops.transpose(
        ops.reshape(ops.slice(x, [keyStart, 0], [keyLength, keyValueHeads * headSize]), [
          keyLength,
          keyValueHeads,
          headSize,
        ]),
        [1, 0, 2],
      ),
    ) as [Tensor, Tensor];
    const mask = engine.upload(attentionMask(segment, window, groups), [1, groups * queryLength, keyLength]);
    const scaled = ops.affine(ops.matmul(queries, keys, { transposeB: true }), scale, 0);
    const scores = ops.add(softCap === undefined ? scaled : capped(ops, scaled, softCap), mask);
    const exponentials = ops.exp(ops.sub(scores, engine.reduce('max', scores, 2)));
    const shares = ops.div(exponentials, ops.sum(exponentials, 2));
    const mixed = ops.reshape(ops.matmul(shares, values), [heads, queryLength, headSize]);
    return ops.reshape(ops.transpose(mixed, [1, 0, 2]), [queryLength, heads * headSize]);
  });
  return ops.cast(outputs.length === 1 ? outputs[0]! : ops.concatenate(outputs, 0), type);
}

export function swiglu(ops: Operations, gate: Tensor, up: Tensor, { type }: { readonly type: DType }): Tensor {
  const wide = ops.cast(gate, 'float32');
  return ops.cast(ops.mul(ops.mul(wide, ops.sigmoid(wide)), ops.cast(up, 'float32')), type);
}

export function gegluTanh(ops: Operations, gate: Tensor, up: Tensor, { type }: { readonly type: DType }): Tensor {
  const wide = ops.cast(gate, 'float32');
  // (1 + tanh(u)) / 2 = sigmoid(2 u), 2 u = 2 sqrt(2 / pi) x (1 + 0.044715 x^2)
  const twice = 2 * Math.sqrt(2 / Math.PI);
  const inner = ops.mul(wide, ops.affine(ops.mul(wide, wide), 0.044715 * twice, twice));
  return ops.cast(ops.mul(ops.mul(wide, ops.sigmoid(inner)), ops.cast(up, 'float32')), type);
}

/** x W^T with both operands in the engine's precision; the gradient to x is not rounded. */
function productWith(ops: Operations, x: Tensor, weight: FrozenWeight): Tensor {
  return ops.node(frozenProduct(ops.engine), { x: asOperand(ops, x) }, { weight });
}

interface FrozenLinearInputs {
  readonly x: Tensor;
  readonly inScale: Tensor | undefined;
  readonly outScale: Tensor | undefined;
  readonly A: Tensor | undefined;
  readonly B: Tensor | undefined;
  readonly bias: Tensor | undefined;
}

export function frozenLinear(ops: Operations, inputs: FrozenLinearInputs, options: FrozenLinearOptions): Tensor {
  const { inScale, outScale, A, B, bias } = inputs;
  const { weight, scale, dropout, type } = options;
  const x = ops.cast(inputs.x, 'float32');
  let y = productWith(ops, inScale === undefined ? x : ops.mul(x, inScale), weight);
  if (A !== undefined && B !== undefined) {
    const seen = dropout === undefined || dropout.rate === 0 ? x : ops.mul(x, keepMask(ops.engine, x.shape, dropout));
    const low = ops.matmul(seen, A, { transposeB: true });
    y = ops.add(y, ops.affine(ops.matmul(low, B, { transposeB: true }), scale, 0));
  }
  if (outScale !== undefined) y = ops.mul(y, outScale);
  if (bias !== undefined) y = ops.add(y, bias);
  return ops.cast(y, type);
}

/** 1 / (1 - rate) where an element is kept, else 0 (inverted dropout). */
export function keepMask(
  engine: Engine,
  shape: readonly number[],
  { rate, key }: NonNullable<FrozenLinearOptions['dropout']>,
): Tensor {
  const kept = engine.binary('greaterEqual', engine.random(shape, key), engine.full([], rate));
  return engine.affine(kept, 1 / (1 - rate), 0);
}

export function tokenLosses(
  ops: Operations,
  x: Tensor,
  { weight, labels, softCap }: TokenLossesOptions & { readonly softCap?: number | undefined },
): Tensor {
  const head = {
    vocabulary: weight.shape[0]!,
    parameters: [],
    softCap,
    logits: (rows: Tensor): Tensor => productWith(ops, rows, weight),
  };
  return tokenLossesByRows(ops, ops.cast(x, 'float32'), head, labels);
}

/** Rows are read where they lie, each once. */
export function embedding(engine: Engine): FusedOperations['embedding'] {
  return (weight, ids) => {
    const [rows, width] = weight.shape as [number, number];
    const beyond = ids.findIndex((id) => id < 0 || id >= rows);
    if (beyond >= 0)
      throw new TensorsError(
        'BAD_ARGUMENT',
        `embedding got token ${ids[beyond]} at ${beyond}; the vocabulary has ${rows}: the tokenizer and the checkpoint do not belong together`,
      );
    if (ids.length === 0) return engine.full([0, width], 0);
    const places = new Map<number, number>();
    for (const id of ids) if (!places.has(id)) places.set(id, places.size);
    const table = engine.concatenate(
      [...places.keys()].map((id) => engine.readWeight(weight, id, id + 1)),
      0,
    );
    return engine.gather(
      table,
      engine.upload(
        ids.map((id) => places.get(id)!),
        [ids.length],
      ),
    );
  };
}

export function adamW(engine: Engine): FusedOperations['adamW'] {
  return (updates, { beta1, beta2, epsilon, step, gradientScale }) => {
    for (const { parameter, gradient, mean, variance, learningRate, weightDecay } of updates) {
      const start = parameter.shape.map(() => 0);
      const scaled = engine.affine(gradient, gradientScale, 0);
      const newMean = engine.binary('add', engine.affine(mean, beta1, 0), engine.affine(scaled, 1 - beta1, 0));
      const newVariance = engine.binary(
        'add',
        engine.affine(variance, beta2, 0),
        engine.affine(engine.binary('mul', scaled, scaled), 1 - beta2, 0),
      );
      const root = engine.affine(engine.unary('sqrt', newVariance), 1 / Math.sqrt(1 - beta2 ** step), epsilon);
      const move = engine.affine(engine.binary('div', newMean, root), -learningRate / (1 - beta1 ** step), 0);
      const decayed = engine.affine(parameter, 1 - learningRate * weightDecay, 0);
      engine.write(mean, newMean, start);
      engine.write(variance, newVariance, start);
      engine.write(parameter, engine.binary('add', decayed, move), start);
    }
  };
}

export function sumOfSquares(engine: Engine): FusedOperations['sumOfSquares'] {
  return (tensors) => {
    const sums = tensors.map((tensor) => {
      const flat = engine.reshape(tensor, [tensor.size]);
      return engine.reduce('sum', engine.binary('mul', flat, flat), 0);
    });
    return engine.reshape(engine.reduce('sum', engine.concatenate(sums, 0), 0), []);
  };
}
