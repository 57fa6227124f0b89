import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { resolveConfig } from 'glulam';
import type { RunConfigInput, RunEvent } from '@glulam/trainer';

const examples = path.resolve(import.meta.dirname, '../../examples');

/** The quickstart's model and data, with fewer held-out rows, for a short run in a folder of its own. */
export function tinyRun(changes: Partial<RunConfigInput> = {}) {
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-run-')), 'run');
  const fields = {
    base: path.join(examples, 'models/tiny-mistral-gsm8k'),
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    },
    adapter: { kind: 'lora', r: 8, lora_alpha: 16, lora_dropout: 0.05 },
    data: {
      train: path.join(examples, 'data/word-problems.train.jsonl'),
      heldOut: smallHeldOut(),
    },
    train: { steps: 8, batch: 4, learningRate: 2e-3 },
    reporters: [],
    out,
    ...changes,
  };
  return { out, ...resolveConfig(fields, [], examples) };
}

export const eventsOf = (folder: string): RunEvent[] =>
  readFileSync(path.join(folder, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent);

/** The loss of each step; one told again after a kill must be the same. */
export function lossesByStep(folder: string): Map<number, number> {
  const losses = new Map<number, number>();
  for (const event of eventsOf(folder)) {
    if (event.type !== 'step.finished') continue;
    const before = losses.get(event.step);
    if (before !== undefined && before !== event.loss)
      throw new Error(`step ${event.step} had loss ${before} and then ${event.loss}`);
    losses.set(event.step, event.loss);
  }
  return losses;
}

let heldOut: string | undefined;
/** The first eight held-out rows: all 64 take longer than the few steps of a test. */
export function smallHeldOut(): string {
  if (heldOut !== undefined) return heldOut;
  heldOut = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-data-')), 'held-out.jsonl');
  const rows = readFileSync(path.join(examples, 'data/word-problems.heldout.jsonl'), 'utf8').split('\n').slice(0, 8);
  writeFileSync(heldOut, rows.join('\n'));
  return heldOut;
}
