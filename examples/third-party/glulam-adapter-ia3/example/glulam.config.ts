import { defineConfig } from 'glulam';
import { adapterIa3 } from 'glulam-plugin-adapter-ia3';

export default defineConfig({
  plugins: [adapterIa3()],
  base: '../golden/mistral/base',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 2],
      [1, 3],
    ],
  },
  adapter: {
    kind: 'ia3',
    target_modules: ['k_proj', 'v_proj', 'down_proj'],
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
  out: 'runs/ia3',
});
