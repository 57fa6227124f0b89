import { defineConfig } from 'glulam';

export default defineConfig({
  base: 'mistralai/Mistral-7B-v0.1',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 16],
      [8, 24],
      [16, 32],
    ],
  },
  data: { train: 'hf://datasets/owner/name/data/train.jsonl' },
});
