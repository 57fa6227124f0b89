import { defineConfig } from 'glulam';
import outputScale from './adapter.js';
import twins from './expansion.js';
import csv from './reporter.js';

export default defineConfig({
  plugins: [outputScale(), twins(), csv()],
  base: '../../../examples/models/tiny-mistral-gsm8k',
  expansion: { kind: 'twins', first: 2, last: 5 },
  adapter: { kind: 'output_scale', only: 'repeats' },
  data: { train: '../../../examples/data/word-problems.train.jsonl' },
  train: { steps: 4, batch: 4, learningRate: 1e-2 },
  reporters: [{ kind: 'csv' }],
  out: 'runs/plugins',
});
