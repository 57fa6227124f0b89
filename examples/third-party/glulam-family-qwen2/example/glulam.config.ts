import { defineConfig } from 'glulam';
import { familyQwen2 } from 'glulam-plugin-family-qwen2';

export default defineConfig({
  plugins: [familyQwen2()],
  base: '../golden/expanded/base',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 3],
      [1, 4],
    ],
  },
  adapter: {
    kind: 'lora',
    r: 4,
  },
  engine: {
    kind: 'reference',
  },
  precision: 'float32',
  data: {
    train: {
      file: 'sums.jsonl',
      format: {
        kind: 'text',
      },
    },
  },
  train: {
    steps: 12,
    batch: 4,
    learningRate: 0.02,
  },
  out: 'runs/qwen2',
});
