import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../../prepare.mjs';
import { promptCost, stepCost, stepTerms, visitedWeights } from './model-cost.mjs';

// 2 layers: q and o 4 x 4, k and v 2 x 4, gate, up and down 8 x 4: 144 weights each; a head of 10 x 4.
const config = {
  hidden_size: 4,
  intermediate_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 10,
};

test('a step is counted product by product', () => {
  const { products, lowRank, attention, total } = stepCost(config, { layers: 3, tokens: 5, batch: 2, rank: 1 });
  const weights = 144;
  const firstAttentionInputs = 4 * 4 + 2 * 4 + 2 * 4;
  expect(products).toBe(10 * 2 * (2 * 3 * weights - firstAttentionInputs) + 8 * 4 * 40);
  // q, k, v, o, gate, up, down: inputs and outputs.
  const widths = 8 + 6 + 6 + 8 + 12 + 12 + 12;
  expect(lowRank).toBe(10 * (6 * 3 * widths - 2 * (4 + 4 + 4)));
  const pairs = 1 + 2 + 3 + 4 + 5;
  expect(attention).toBe(2 * 3 * 12 * 4 * pairs);
  expect(total).toBe(products + lowRank + attention);
});

test('recomputation adds a forward of the layers, not of the head', () => {
  const step = { layers: 3, tokens: 5, rank: 1 };
  const [plain, twice] = [stepCost(config, step), stepCost(config, { ...step, recompute: true })];
  const forward = promptCost(config, step);
  const head = 2 * 40;
  expect(twice.products - plain.products).toBe(forward.products - head);
  expect(twice.lowRank - plain.lowRank).toBe(forward.lowRank);
  expect(twice.attention - plain.attention).toBe(forward.attention);
});

test('a step reads weights and activations once a pass, of which recomputation has one more', () => {
  const step = { layers: 3, tokens: 5, batch: 2, rank: 1 };
  const { weights, activations, products } = stepTerms(config, step);
  expect(products).toBe(stepCost(config, step).products);
  expect(weights).toBe(2 * (3 * 144 + 40));
  expect(activations).toBe(2 * 10 * 3 * (8 + 6 + 6 + 8 + 12 + 12 + 12));
  expect(stepTerms(config, { ...step, recompute: true }).activations).toBe(1.5 * activations);
});

test('a sliding window bounds what a query sees', () => {
  const attention = (window: number | null) =>
    promptCost({ ...config, sliding_window: window }, { layers: 1, tokens: 6, rank: 1 }).attention;
  expect(attention(2)).toBe(4 * 4 * (1 + 2 * 5));
  expect(attention(6)).toBe(attention(null));
  expect(attention(100)).toBe(attention(null));
});

test('the weights of Mistral 7B are those of its config: all but embedding and norms', () => {
  const mistral = JSON.parse(readFileSync(path.join(root, 'examples/plans/mistral-7b/config.json'), 'utf8')) as object;
  expect(visitedWeights(mistral, 32)).toBe(7_241_732_096 - 32_000 * 4096 - 65 * 4096);
});
