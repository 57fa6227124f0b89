import { defineConfig } from 'glulam';

export default defineConfig({
  base: 'base',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 4],
      [2, 6],
      [4, 8],
    ],
  },
  adapter: { kind: 'lora', r: 8, lora_alpha: 16 },
  data: { train: 'train.jsonl', heldOut: 'heldout.jsonl' },
  train: { steps: 60, batch: 8, learningRate: 2e-3, warmupSteps: 5 },
  out: 'runs/first',
});
