// `node tools/check/soak.mjs [STEPS]`: trains the tiny model for 1,000 steps and tables live tensors and memory on the way.
// Ends with 1 where tensors are left behind or anonymous memory keeps growing.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root } from '../prepare.mjs';
import { memoryFaults } from './memory-faults.mjs';

prepare();
const { run } = await import('glulam');
const { definePlugin } = await import('@glulam/plugin');
const { evaluators } = await import('@glulam/trainer');
const { z } = await import('zod');

const steps = Number(parseArgs({ allowPositionals: true }).positionals[0] ?? 1000);
const folder = mkdtempSync(path.join(tmpdir(), 'glulam-soak-'));

/** An evaluator that scores nothing but the process: it is handed the model, and is asked between steps. */
const memory = definePlugin({
  name: 'soak',
  contract: 2,
  register: (registry) =>
    registry.contribute(evaluators, {
      create: () => ({
        kind: 'memory',
        schema: z.strictObject({}),
        open: () => ({
          evaluate({ decoder }) {
            globalThis.gc?.();
            const { tensors, bytes } = decoder.engine.memory();
            return Promise.resolve({ tensors, bytes, anonymous: anonymousBytes() });
          },
        }),
      }),
    }),
});

/** @type {import('./memory-faults.mjs').MemoryRow[]} */
const rows = [];
const begun = performance.now();
await run(
  {
    base: 'examples/models/tiny-mistral-gsm8k',
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    },
    adapter: { kind: 'lora', r: 8, lora_alpha: 16, lora_dropout: 0.05 },
    data: { train: 'examples/data/word-problems.train.jsonl' },
    train: { steps, batch: 4, accumulate: 2, learningRate: 1e-3, warmupSteps: 10 },
    evaluate: { evaluators: [{ kind: 'memory' }], every: Math.max(1, Math.floor(steps / 10)) },
    checkpoint: { every: Math.max(1, Math.floor(steps / 5)) },
    reporters: [],
    plugins: [memory],
    out: path.join(folder, 'run'),
  },
  {
    folder: root,
    onEvent(event) {
      if (event.type !== 'evaluation.finished') return;
      const { tensors, bytes, anonymous } = event.scores;
      rows.push({ step: event.step, tensors, bytes, anonymous });
      console.log(
        `step ${String(event.step).padStart(5)}  ${tensors} tensors  ${(bytes / 2 ** 20).toFixed(2)} MiB live  ${(anonymous / 2 ** 20).toFixed(1)} MiB anonymous`,
      );
    },
  },
);
rmSync(folder, { recursive: true });
console.log(`${steps} steps in ${((performance.now() - begun) / 1000).toFixed(0)} s`);

const faults = memoryFaults(rows);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;

/** Memory of this process that no file backs (Linux); elsewhere what Node says of the resident set. */
function anonymousBytes() {
  if (process.platform !== 'linux') return process.memoryUsage.rss();
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}
