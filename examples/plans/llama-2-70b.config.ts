import { defineConfig } from 'glulam';

// Llama 2 70B as the 140 layers of the 120 B recipe, in the memory of 70 B. `llama-2-70b` holds config.json alone, which
// is all that a plan reads; to train, let `base` be the folder of the whole checkpoint.
export default defineConfig({
  base: 'llama-2-70b',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 20],
      [10, 30],
      [20, 40],
      [30, 50],
      [40, 60],
      [50, 70],
      [60, 80],
    ],
  },
  adapter: { kind: 'lora', r: 8, lora_alpha: 16 },
  data: { train: '../data/word-problems.train.jsonl' },
  train: { steps: 1000, batch: { tokens: 2048 }, recompute: true },
  out: 'runs/llama-2-70b',
});
