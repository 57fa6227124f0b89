import { defineConfig } from 'glulam';

// What the tiny Mistral's expansion is worth: the base, the base expanded from 8 to 12 layers, and as many trained
// parameters on each, LoRA of rank 12 on the base and of rank 8 on the expanded one.
export default defineConfig({
  base: '../models/tiny-mistral-gsm8k',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 4],
      [2, 6],
      [4, 8],
    ],
  },
  adapter: { kind: 'lora', r: 8, lora_alpha: 16 },
  data: { train: '../data/word-problems.train.jsonl', heldOut: '../data/word-problems.heldout.jsonl' },
  train: { steps: 400, batch: 8, learningRate: 2e-3, warmupSteps: 20 },
  evaluate: {
    evaluators: [
      { kind: 'loss' },
      { kind: 'gsm8k', file: '../data/word-problems.test.jsonl', shots: 0, limit: 200, batch: 50, when: 'end' },
    ],
    every: 25,
  },
  ablation: { seeds: [0, 1, 2] },
  out: 'runs/ablation',
});
