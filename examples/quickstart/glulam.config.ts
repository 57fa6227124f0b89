import { defineConfig } from 'glulam';

// The tiny Mistral (8 physical layers) as 12 virtual layers, fine-tuned on arithmetic word problems.
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
  data: {
    train: '../data/word-problems.train.jsonl',
    heldOut: '../data/word-problems.heldout.jsonl',
  },
  train: { steps: 150, batch: 8, learningRate: 2e-3, warmupSteps: 10 },
  out: 'runs/quickstart',
});
