import { defineConfig } from 'glulam';

// LLaMA-Pro (Wu et al. 2024): after every fourth of 8 layers a copy of it that begins by changing nothing. The copies alone
// are trained, whole.
export default defineConfig({
  base: '../models/tiny-mistral-gsm8k',
  expansion: { kind: 'llama_pro', layers: 10 },
  adapter: { kind: 'none' },
  data: { train: '../data/word-problems.train.jsonl', heldOut: '../data/word-problems.heldout.jsonl' },
  train: { steps: 100, batch: 8, learningRate: 1e-3, warmupSteps: 10 },
  out: 'runs/llama-pro',
});
