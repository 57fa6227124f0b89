// Larger models on this machine, on paper: time by the model of cost, memory by the plan.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { plan } from 'glulam';
import { root } from '../../prepare.mjs';
import { stepCost, stepTerms } from './model-cost.mjs';

/** Bases of examples/plans, as they are and by the maps of their configs there. */
const bases = [
  {
    name: 'Mistral 7B',
    folder: 'mistral-7b',
    map: [
      [0, 16],
      [8, 24],
      [16, 32],
    ],
  },
  {
    name: 'Llama 2 70B',
    folder: 'llama-2-70b',
    map: [
      [0, 20],
      [10, 30],
      [20, 40],
      [30, 50],
      [40, 60],
      [50, 70],
      [60, 80],
    ],
  },
];

/** @param {ReturnType<typeof import('./cost-fit.mjs').fitCost>} cost */
export async function project(cost) {
  const projections = [];
  for (const { name, folder, map } of bases) {
    const base = path.join(root, 'examples/plans', folder);
    const config = JSON.parse(readFileSync(path.join(base, 'config.json'), 'utf8'));
    for (const layer_map of [[[0, config.num_hidden_layers]], map]) {
      for (const recompute of [false, true]) {
        const tokens = recompute ? 2048 : 512;
        const planned = await plan({
          base,
          expansion: { kind: 'layer_map', layer_map },
          adapter: { kind: 'lora', r: 8 },
          data: { train: path.join(root, 'examples/data/word-problems.train.jsonl'), maxTokens: tokens },
          train: { batch: 1, recompute },
        });
        const layers = planned.layers.length;
        const step = { layers, tokens, rank: 8, recompute };
        projections.push({
          name,
          layers,
          tokens,
          recompute,
          total: stepCost(config, step).total,
          seconds: cost.predict(stepTerms(config, step)),
          weights: planned.bytes.weights,
          peak: planned.bytes.peak - planned.bytes.process,
        });
      }
    }
  }
  return projections;
}
