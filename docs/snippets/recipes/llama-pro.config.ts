import { defineConfig } from 'glulam';

// LLaMA-Pro on Mistral 7B: after every fourth layer a copy that begins by changing nothing, 40 layers in all. The eight
// copies alone are trained, whole. The folder has config.json alone, which is all that a plan reads.
export default defineConfig({
  base: '../../../examples/plans/mistral-7b',
  expansion: { kind: 'llama_pro', layers: 40 },
  adapter: { kind: 'none' },
  data: { train: '../../../examples/data/word-problems.train.jsonl' },
  train: { steps: 1000, batch: { tokens: 2048 }, learningRate: 2e-5, recompute: true },
  out: 'runs/llama-pro',
});
