#!/usr/bin/env node
// Glulam on an expanded model of random weights: training steps, decoding, prompts, the first step, and with --peer the same
// by PEFT on PyTorch, interleaved in the same run; what the machine can do at most is measured beside each of them.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root } from '../prepare.mjs';
import { works } from './measure/works.mjs';

const workNames = Object.keys(works({}, 0));
const rowNames = [...workNames, 'kernels', 'engines'];
const usage = `usage: npm run bench -- [--shape bench|small] [--rows ${rowNames.join(',')}] [--rounds 3] [--peer VENV]
                        [--dtype bfloat16|float32] [--seq 512]

  --shape   bench: 1.0 B parameters, 16 layers as 24 (2.1 GB of disk, about 45 minutes with --peer);
            small: 130 M, 8 layers as 12
  --rows    which parts, by their names with commas between; default: all of them
  --peer    a Python environment made by tools/peer/setup.sh VENV: PEFT is measured in turn with Glulam
  --dtype, --seq   of the rows engines alone: one line an engine, on the small shape

All parts of the shape bench with --peer make bench/results/PROCESSOR.md; anything else is written to bench/work/results.md.
`;

const fail = (message) => {
  process.stderr.write(`${message}\n\n${usage}`);
  process.exit(1);
};
const values = (() => {
  try {
    return parseArgs({
      options: {
        shape: { type: 'string', default: 'bench' },
        rows: { type: 'string', default: rowNames.join(',') },
        rounds: { type: 'string', default: '3' },
        peer: { type: 'string' },
        dtype: { type: 'string', default: 'bfloat16' },
        seq: { type: 'string', default: '512' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return fail(/** @type {Error} */ (error).message);
  }
})();
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const chosen = values.rows.split(',');
const unknown = chosen.filter((name) => !rowNames.includes(name));
if (!['tiny', 'small', 'bench'].includes(values.shape))
  // tiny is for tests
  fail(`--shape is ${values.shape}; expected bench or small`);
if (unknown.length > 0) fail(`--rows has ${unknown.join(', ')}; expected some of ${rowNames.join(', ')}`);
if (!/^[1-9]\d*$/.test(values.rounds)) fail(`--rounds is ${values.rounds}; expected a whole number from 1`);
if (!['bfloat16', 'float32'].includes(values.dtype)) fail(`--dtype is ${values.dtype}; expected bfloat16 or float32`);
if (!/^[1-9]\d*$/.test(values.seq)) fail(`--seq is ${values.seq}; expected a whole number from 1`);
const python = values.peer && path.join(values.peer, 'bin/python');
if (python && !existsSync(python))
  fail(`--peer is ${values.peer}, which has no bin/python; make it by tools/peer/setup.sh ${values.peer}`);

prepare();
const { makeCheckpoint } = await import('./measure/make-checkpoint.mjs');
const { openMachineLimits } = await import('./measure/machine-limits.mjs');
const { resultsTable, tableRows } = await import('./pages/results-table.mjs');
const { resultsPage } = await import('./pages/results-page.mjs');
const { measureKernels } = await import('./measure/kernel-shares.mjs');
const { describeRun } = await import('./measure/describe-run.mjs');
const { processorName } = await import('./measure/processor.mjs');
const { median } = await import('./measure/median.mjs');

const work = path.join(root, 'bench/work');
const threads = availableParallelism();
const measureLimits = openMachineLimits(work);

const measure = (command, args) => {
  const output = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], cwd: root });
  return JSON.parse(/** @type {string} */ (output.trim().split('\n').at(-1)));
};
const openCheckpoint = async (shape) => {
  const folder = path.join(work, shape);
  await makeCheckpoint(folder, shape);
  return folder;
};

/**
 * The precision in which PEFT trains faster on this machine, by steps of the shape small in turn: processors differ in how
 * fast they multiply bfloat16, and it is PEFT at its best that we compare with.
 *
 * @param {string[]} peft command and script
 */
async function betterPrecision([command, script]) {
  const checkpoint = await openCheckpoint('small');
  /** @type {Record<string, number[]>} */
  const seconds = { bfloat16: [], float32: [] };
  for (let round = 0; round < 2; round++) {
    for (const [dtype, all] of Object.entries(seconds)) {
      const args = ['--threads', String(threads), '--steps', '3', '--dtype', dtype];
      all.push(median(measure(command, [script, checkpoint, ...args]).step_times.slice(1)));
    }
    // Some processors take minutes a step in the worse precision: a difference like that needs no second round.
    const [one, other] = Object.values(seconds).map(median);
    if (Math.max(one, other) > 2 * Math.min(one, other)) break;
  }
  const [bfloat16, float32] = [median(seconds.bfloat16), median(seconds.float32)];
  const better = bfloat16 <= float32 ? 'bfloat16' : 'float32';
  const ratio = Math.max(bfloat16, float32) / Math.min(bfloat16, float32);
  const words =
    ` PEFT trains in ${better} here, with the base in that precision: on the shape \`small\` it took ${ratio.toFixed(2)} times as ` +
    `long in ${better === 'bfloat16' ? 'float32' : 'bfloat16'}.`;
  console.log(words.trim());
  return { args: ['--dtype', better], words };
}

// The table: in each round, for each work, the limits, then Glulam, then PEFT.
const rows = [];
const allLimits = [];
/** @type {{ versions: string[], shape: string }} */
let about = { versions: [], shape: '' };
if (workNames.some((name) => chosen.includes(name))) {
  const checkpoint = await openCheckpoint(values.shape);
  // Into the page cache, however long ago they were written.
  for (const file of readdirSync(checkpoint)) readFileSync(path.join(checkpoint, file));
  const config = JSON.parse(readFileSync(path.join(checkpoint, 'config.json'), 'utf8'));
  const layers = 1.5 * config.num_hidden_layers;
  const table = works(config, layers);
  /** @type {Record<string, string[]>} */
  const sides = { glulam: [process.execPath, path.join(root, 'tools/bench/measure/measure.mjs')] };
  if (python) sides.peft = [python, path.join(root, 'tools/peer/peft_bench.py')];
  const peerArgs = python ? await betterPrecision(sides.peft) : { args: [], words: '' };
  /** @type {Record<string, any[]>} */
  const measured = Object.fromEntries(workNames.filter((name) => chosen.includes(name)).map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, rounds] of Object.entries(measured)) {
      const { args } = table[name];
      /** @type {Record<string, any>} */
      const result = { limits: measureLimits(threads) };
      for (const [side, [command, script]] of Object.entries(sides)) {
        const started = Date.now() / 1000;
        const own = side === 'peft' && !args.includes('--dtype') ? peerArgs.args : [];
        const printed = measure(command, [script, checkpoint, '--threads', String(threads), ...args, ...own]);
        result[side] = { ...printed, started_at: started };
        console.log(`round ${round + 1}, ${name}, ${side}: ${(Date.now() / 1000 - started).toFixed(0)} s`);
      }
      rounds.push(result);
    }
  }
  for (const [name, rounds] of Object.entries(measured)) {
    rows.push(...tableRows(table[name], rounds));
    allLimits.push(...rounds.map(({ limits }) => limits));
  }
  const [{ glulam, peft }] = Object.values(measured)[0];
  about = {
    versions: [`engine ${glulam.engine}`, ...(peft ? [peft.versions] : [])],
    shape:
      `The shape \`${values.shape}\`: random weights, ${config.num_hidden_layers} layers as ${layers} virtual layers, r=8 on seven ` +
      `projections (${glulam.trainable.toLocaleString('en-US')} trainable), batch 1, 512 tokens unless said, ${threads} threads.${peerArgs.words}`,
  };
  console.log(`\n${about.shape}\n\n${resultsTable(rows)}\n`);
}

const kernels = chosen.includes('kernels') ? measureKernels(measureLimits, threads) : undefined;
if (allLimits.length === 0) allLimits.push(measureLimits(threads));
const isWhole = values.shape === 'bench' && python && [...workNames, 'kernels'].every((name) => chosen.includes(name));
const page = isWhole
  ? path.join(root, 'bench/results', `${processorName()}.md`)
  : path.join(work, values.shape === 'tiny' ? 'tiny.md' : 'results.md');
const results = {
  ...about,
  about: describeRun(about.versions),
  rounds: Number(values.rounds),
  rows,
  limits: allLimits,
  kernels,
};
if (rows.length > 0 || kernels) {
  writeFileSync(page, resultsPage(results));
  console.log(`written: ${path.relative(root, page)}`);
}

if (!chosen.includes('engines')) process.exit();
const checkpoint = await openCheckpoint('small');

// Engines on TensorFlow.js, on the small shape, which every backend holds: one line a backend that loads and a
// precision that it has, each in a process of its own, beside what its products reach.
const { probeBackends } = await import('@glulam/engine-tfjs');
console.log(`\nengine                    tokens/s   peak, GB   step, GFLOP/s   product, GFLOP/s   share`);
const line = (name, { tokens_per_s, peak_rss_gb, step_gflops, product_gflops }, note = '') =>
  console.log(
    name.padEnd(24) +
      [tokens_per_s.toFixed(1).padStart(10), peak_rss_gb.toFixed(2).padStart(11)].join('') +
      [step_gflops.toFixed(1).padStart(16), product_gflops.toFixed(1).padStart(19)].join('') +
      (step_gflops / product_gflops).toFixed(2).padStart(8) +
      note,
  );
const script = path.join(root, 'tools/bench/measure/measure.mjs');
const measureEngine = (args) => measure(process.execPath, [script, checkpoint, '--products', ...args]);
line(`native ${values.dtype}`, measureEngine(['--dtype', values.dtype, '--seq', values.seq]));
for (const { name, loads, details } of await probeBackends()) {
  const backend = /** @type {string} */ (name.split(' ').at(-1));
  if (!loads) {
    console.log(`${name.padEnd(24)}  not measured: ${details}`);
    continue;
  }
  // Plain JavaScript would take minutes for a step.
  const seq = backend === 'cpu' ? '16' : values.seq;
  const onTensorflow = backend.startsWith('node');
  // TensorFlow's programs are compiled in the first step, and JavaScript's hot functions within the next ones.
  const steps = onTensorflow ? '20' : '2';
  const note = seq === values.seq ? '' : `   (${seq} tokens)`;
  for (const dtype of onTensorflow ? ['bfloat16', 'float32'] : ['float32']) {
    const result = measureEngine(['--engine', backend, '--dtype', dtype, '--seq', seq, '--steps', steps]);
    line(`${name} ${dtype}`, result, note);
  }
}
