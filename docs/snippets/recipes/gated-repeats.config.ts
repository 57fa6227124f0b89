import { defineConfig } from 'glulam';

// The card's map, but begun as the base itself: a repeat's outputs are multiplied by a gate that begins at 0, and all of
// the adapter's parameters are on repeats.
export default defineConfig({
  base: '../../../examples/plans/mistral-7b',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 16],
      [8, 24],
      [16, 32],
    ],
    gate: 'learned',
  },
  adapter: { kind: 'lora', r: { first: 0, repeats: 24 }, lora_alpha: 48 },
  data: { train: '../../../examples/data/word-problems.train.jsonl' },
  train: { steps: 1000, batch: { tokens: 2048 }, recompute: true },
  out: 'runs/gated-repeats',
});
