// What a model asks of a machine, from its config alone: floating-point operations (a multiply-add is two) of a training
// step and of a prompt, and how many weights a pass visits. What an implementation does besides (norms, activations,
// copies, a second look at scores) is not counted: that is what a share of the limit is to show.

/** The seven linear layers of a decoder layer, as [outputs, inputs]; the first three read the layer's input. */
function linearShapes(config) {
  const { hidden_size: hidden, intermediate_size: inner, num_attention_heads: heads } = config;
  const headSize = config.head_dim ?? hidden / heads;
  const [queries, keys] = [heads * headSize, (config.num_key_value_heads ?? heads) * headSize];
  return [
    [queries, hidden],
    [keys, hidden],
    [keys, hidden],
    [hidden, queries],
    [inner, hidden],
    [inner, hidden],
    [hidden, inner],
  ];
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const headWeights = (config) => config.vocab_size * config.hidden_size;
const layerWeights = (config) => sum(linearShapes(config).map(([outputs, inputs]) => outputs * inputs));

/** Pairs of a query and a key that it sees: itself and what is before it, within the sliding window. */
function visiblePairs(config, tokens) {
  const window = Math.min(config.sliding_window ?? Infinity, tokens);
  return (window * (window + 1)) / 2 + (tokens - window) * window;
}

/** Scores and weighted values: two products over the visible pairs. */
const attentionForward = (config, tokens) =>
  4 *
  config.num_attention_heads *
  (config.head_dim ?? config.hidden_size / config.num_attention_heads) *
  visiblePairs(config, tokens);

/**
 * One training step of low-rank adapters of rank `rank` on all linear layers of `layers` virtual layers, over `batch`
 * sequences of `tokens` tokens. With T tokens, weights of [out, in] and rank r:
 *
 * - `products`: 2 T out in forward and as much for the gradient of its input, of each linear layer and of the head, where
 *   T - 1 rows have labels. No gradient of the first virtual layer's input is needed. `recompute` adds a second forward.
 * - `lowRank`: x A' and u B' forward, their gradients to B, u, A and x: 6 T r (out + in).
 * - `attention`: over visible pairs of D = heads x head size: 4 D forward, 8 D backward.
 *
 * @param {object} config config.json of a Mistral or Llama
 * @param {{ layers: number, tokens: number, batch?: number, rank: number, recompute?: boolean }} step
 * @returns {{ products: number, lowRank: number, attention: number, total: number }}
 */
export function stepCost(config, { layers, tokens, batch = 1, rank, recompute = false }) {
  const forwards = recompute ? 2 : 1;
  const rows = batch * tokens;
  const shapes = linearShapes(config);
  const unneeded = shapes.slice(0, 3);
  const products =
    2 * rows * (layers * (forwards + 1) * layerWeights(config) - sum(unneeded.map(([out, inner]) => out * inner))) +
    2 * 2 * batch * (tokens - 1) * headWeights(config);
  const lowRank =
    2 * rows * rank * (layers * (forwards + 2) * sum(shapes.flat()) - sum(unneeded.map(([, inner]) => inner)));
  const attention = batch * layers * (forwards + 2) * attentionForward(config, tokens);
  return { products, lowRank, attention, total: products + lowRank + attention };
}

/**
 * What a step's time is fitted to: its operations, and how many elements its passes (forward, backward, and the second
 * forward of recomputation) read and write around them: `weights` by `visitedWeights`, `activations` as inputs and outputs
 * of the linear layers.
 *
 * @param {object} config
 * @param {Parameters<typeof stepCost>[1]} step
 * @returns {{ products: number, lowRank: number, attention: number, weights: number, activations: number }}
 */
export function stepTerms(config, step) {
  const { layers, tokens, batch = 1, recompute = false } = step;
  const { products, lowRank, attention } = stepCost(config, step);
  const passes = recompute ? 3 : 2;
  const weights = passes * visitedWeights(config, layers);
  const activations = passes * batch * tokens * layers * sum(linearShapes(config).flat());
  return { products, lowRank, attention, weights, activations };
}

/** A prompt up to the logits behind its last token, which alone the head is computed for. */
export function promptCost(config, { layers, tokens, rank }) {
  const products = 2 * tokens * layers * layerWeights(config) + 2 * headWeights(config);
  const lowRank = 2 * tokens * rank * layers * sum(linearShapes(config).flat());
  const attention = layers * attentionForward(config, tokens);
  return { products, lowRank, attention, total: products + lowRank + attention };
}

/** Weights that a pass visits, once each virtual layer, and the head's. */
export const visitedWeights = (config, layers) => layers * layerWeights(config) + headWeights(config);
