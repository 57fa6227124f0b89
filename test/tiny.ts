import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { resolveConfig } from 'glulam';
import type { RunConfigInput } from '@glulam/trainer';

const examples = path.resolve(import.meta.dirname, '../examples');

/** The quickstart's model and data, for a short run in a folder of its own. */
export function tinyRun(changes: Partial<RunConfigInput> = {}) {
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-run-')), 'run');
  const fields = {
    base: path.join(examples, 'models/tiny-mistral-gsm8k'),
    expansion: { kind: 'layer_map', layer_map: [[0, 4], [2, 6], [4, 8]] }, // prettier-ignore
    adapter: { kind: 'lora', r: 8, lora_alpha: 16, lora_dropout: 0.05 },
    data: {
      train: path.join(examples, 'data/word-problems.train.jsonl'),
      heldOut: path.join(examples, 'data/word-problems.heldout.jsonl'),
    },
    train: { steps: 8, batch: 4, learningRate: 2e-3 },
    reporters: [],
    out,
    ...changes,
  };
  return { out, ...resolveConfig(fields, [], examples) };
}
