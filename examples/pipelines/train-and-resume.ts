// A pipeline in code: plan, train, watch, ask for an evaluation, stop by a signal, and go on from the checkpoint.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineConfig, plan, run } from 'glulam';

const config = defineConfig({
  base: '../models/tiny-mistral-gsm8k',
  expansion: {
    kind: 'layer_map',
    layer_map: [
      [0, 4],
      [2, 6],
      [4, 8],
    ],
  },
  adapter: { kind: 'lora', r: 8, lora_alpha: 16 },
  data: { train: '../data/word-problems.train.jsonl', heldOut: '../data/word-problems.heldout.jsonl' },
  train: { steps: 12, batch: 4, learningRate: 2e-3 },
  checkpoint: { every: 4 },
  reporters: [],
  out: path.join(await mkdtemp(path.join(tmpdir(), 'glulam-pipeline-')), 'run'),
});
const folder = import.meta.dirname;

const { parameters, bytes, verdict } = await plan(config, { folder });
console.log(`plan: ${parameters.trainable} trainable parameters, peak ${(bytes.peak / 1e6).toFixed(0)} MB: ${verdict}`);

const controller = new AbortController();
const first = await run(config, {
  folder,
  signal: controller.signal,
  onEvent(event, ask) {
    if (event.type === 'evaluation.finished') console.log(`step ${event.step}: held-out`, event.scores);
    if (event.type !== 'step.finished') return;
    console.log(`step ${event.step}: loss ${event.loss.toFixed(4)}`);
    if (event.step === 3) ask('evaluate');
    // As a time limit would: the step is finished and a checkpoint written.
    if (event.step === 6) controller.abort();
  },
});
console.log(`stopped after step ${first.steps}: ${first.stopped}`);

const second = await run(config, { folder, resume: true });
console.log(`went on to step ${second.steps}; the adapter is in ${second.adapterFolder}`);
