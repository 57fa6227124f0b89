import { defineConfig } from 'glulam';

// Mistral 7B as 48 virtual layers, by the map of the model card that the idea is from: 31,457,280 trainable parameters,
// as many as r=12 makes of the 32 layers. `mistral-7b` holds config.json alone, which is all that a plan reads; to train,
// let `base` be the folder of the whole checkpoint.
export default defineConfig({
  base: 'mistral-7b',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 16],
      [8, 24],
      [16, 32],
    ],
  },
  adapter: {
    kind: 'lora',
    r: 8,
    lora_alpha: 16,
    target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  },
  data: { train: '../data/word-problems.train.jsonl' },
  train: { steps: 1000, batch: { tokens: 2048 }, accumulate: 4, recompute: true },
  out: 'runs/mistral-7b',
});
