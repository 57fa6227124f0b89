import { defineConfig } from 'glulam';
import { familySeedOss } from 'glulam-plugin-family-seed-oss';

export default defineConfig({
  plugins: [familySeedOss()],
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
  out: 'runs/seed-oss',
});
