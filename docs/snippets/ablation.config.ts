import { defineConfig } from 'glulam';

export default defineConfig({
  base: '../../examples/models/tiny-mistral-gsm8k',
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
    train: '../../examples/data/word-problems.train.jsonl',
    heldOut: '../../examples/data/word-problems.heldout.jsonl',
  },
  train: { steps: 200, batch: 8, learningRate: 2e-3 },
  // region ablation
  ablation: {
    seeds: [0, 1, 2],
    variants: [
      { name: 'base', expansion: 'none' },
      {
        name: 'later half twice',
        expansion: {
          kind: 'layer_map',
          layer_map: [
            [0, 8],
            [4, 8],
          ],
        },
        adapter: { matchTrainable: 325632 },
      },
      { name: 'repeats alone', adapter: { r: { first: 0, repeats: 24 } } },
    ],
  },
  // endregion ablation
  out: 'runs/ablation',
});
