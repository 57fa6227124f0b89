#!/usr/bin/env node
// `npm run bench:mistral`: Mistral 7B's shape with random weights, its 32 layers as 48 virtual ones, LoRA r=8, 256 tokens with
// recomputation: seconds a step and memory of Glulam, what the plan said, and with --peer the same by PEFT. It makes the
// checkpoint, 15 GB, and removes it.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root } from '../prepare.mjs';

const usage = `usage: npm run bench:mistral -- [--peer VENV] [--steps 3]

  --peer    a Python environment made by tools/peer/setup.sh VENV: PEFT trains too, in turn with Glulam
  --steps   of each side; the first is not counted

Needs 16 GB of disk in bench/work, and memory for as much of the checkpoint as possible.
`;
const { values } = parseArgs({
  options: {
    peer: { type: 'string' },
    steps: { type: 'string', default: '3' },
    /** \`tiny\` is for tests. */
    shape: { type: 'string', default: 'mistral' },
  },
});
const python = values.peer && path.join(values.peer, 'bin/python');
if (!/^([2-9]|[1-9]\d+)$/.test(values.steps)) fail(`--steps is ${values.steps}; expected a whole number from 2`);
if (!['mistral', 'tiny'].includes(values.shape)) fail(`--shape is ${values.shape}; expected mistral`);
if (python && !existsSync(python))
  fail(`--peer is ${values.peer}, which has no bin/python; make it by tools/peer/setup.sh ${values.peer}`);

prepare();
const { plan } = await import('glulam');
const { makeCheckpoint } = await import('./measure/make-checkpoint.mjs');
const { median } = await import('./measure/median.mjs');
const { describeRun } = await import('./measure/describe-run.mjs');
const { processorName } = await import('./measure/processor.mjs');
const { layerMap } = await import('./pages/scaling-points.mjs');
const { mistralPage } = await import('./pages/mistral-page.mjs');

const shape = /** @type {'mistral' | 'tiny'} */ (values.shape);
const work = path.join(root, 'bench/work');
const folder = path.join(work, `${shape}-48-layers`);
mkdirSync(work, { recursive: true });
const { bavail, bsize } = statfsSync(work);
if (shape === 'mistral' && bavail * bsize < 16e9)
  fail(`${work} has ${((bavail * bsize) / 1e9).toFixed(1)} GB free; the checkpoint takes 15 GB`);

let results;
try {
  console.log('making the checkpoint');
  await makeCheckpoint(folder, shape);
  results = await measureAll();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const page = mistralPage({ ...results, about: describeRun(results.versions) });
console.log(`\n${page}`);
if (shape === 'mistral' && python) {
  const file = path.join(root, 'bench/mistral-7b', `${processorName()}.md`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, page);
  console.log(`written: ${path.relative(root, file)}`);
}

async function measureAll() {
  // Into the page cache, as far as it has room.
  for (const name of readdirSync(folder)) readFileSync(path.join(folder, name));
  const { num_hidden_layers: layers } = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
  const { bytes: planned } = await planOf(layers);
  const threads = String(availableParallelism());
  const args = ['--seq', '256', '--checkpointing', '--steps', values.steps, '--threads', threads];
  const measure = (name, command, script) => {
    console.log(`measuring ${name}`);
    const output = execFileSync(command, [script, folder, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: root,
    });
    const printed = JSON.parse(/** @type {string} */ (output.trim().split('\n').at(-1)));
    const { step_times: times, peak_rss_gb: peak, weights_gb: weights } = printed;
    return { printed, times, seconds: median(times.slice(1)), peak, beyond: peak - weights };
  };
  const glulam = measure('Glulam', process.execPath, path.join(root, 'tools/bench/measure/measure.mjs'));
  const peft = python ? measure('PEFT', python, path.join(root, 'tools/peer/peft_bench.py')) : undefined;
  const versions = [`engine ${glulam.printed.engine}`, ...(peft ? [peft.printed.versions] : [])];
  return { layers, virtualLayers: glulam.printed.effective_layers, glulam, peft, planned, versions };
}

/** Without a tokenizer the largest batch is the one that the config allows: one sequence of 256 tokens. */
function planOf(layers) {
  return plan({
    base: folder,
    expansion: { kind: 'layer_map', layer_map: layerMap(layers, 1.5 * layers) },
    adapter: { kind: 'lora', r: 8 },
    data: { train: path.join(root, 'examples/data/word-problems.train.jsonl'), maxTokens: 256 },
    train: { batch: 1, recompute: true },
  });
}

function fail(message) {
  process.stderr.write(`${message}\n\n${usage}`);
  process.exit(1);
}
