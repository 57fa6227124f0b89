#!/usr/bin/env node
// One LoRA training step and greedy decoding on an expanded model of random weights: tokens a second, peak memory, load
// time; with --peer the same by PEFT on PyTorch, interleaved in the same run, as ratios.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepare } from './prepare.mjs';

const usage = `usage: npm run bench -- [--shape small|bench] [--dtype bfloat16|float32] [--seq 512] [--rounds 3] [--peer VENV]

  --shape   small: 130 M parameters, 8 layers as 12; bench: 1.0 B, 16 layers as 24 (needs 2.1 GB of disk)
  --peer    a Python environment made by tools/peer/setup.sh VENV: PEFT is measured in turn with Glulam
`;
const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: 'small' },
    dtype: { type: 'string', default: 'bfloat16' },
    seq: { type: 'string', default: '512' },
    rounds: { type: 'string', default: '3' },
    peer: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const wrong =
  !['small', 'bench'].includes(values.shape) ||
  !['bfloat16', 'float32'].includes(values.dtype) ||
  !(Number(values.rounds) >= 1);
if (values.help || wrong) {
  (values.help ? process.stdout : process.stderr).write(usage);
  process.exit(values.help ? 0 : 1);
}
await prepare();
const { makeCheckpoint } = await import('./bench/make-checkpoint.mjs');
const root = path.resolve(import.meta.dirname, '..');
const checkpoint = path.join(root, 'bench/work', values.shape);
console.log(`checkpoint ${checkpoint}`);
await makeCheckpoint(checkpoint, values.shape);

const measure = (command, args) => {
  const output = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], cwd: root });
  return JSON.parse(output.trim().split('\n').at(-1));
};
const common = [checkpoint, '--dtype', values.dtype, '--seq', values.seq, '--decode', '32'];
const sides = { glulam: () => measure(process.execPath, [path.join(root, 'tools/bench/measure.mjs'), ...common]) };
if (values.peer !== undefined) {
  const script = path.join(root, 'tools/peer/peft_bench.py');
  sides.peft = () => measure(path.join(values.peer, 'bin/python'), [script, ...common]);
}
const results = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [side, run] of Object.entries(sides)) {
    const result = run();
    results[side].push(result);
    console.log(
      `round ${round + 1}, ${side}: step ${result.step_s.toFixed(2)} s, ${result.decode_per_s.toFixed(1)} decoded tokens/s`,
    );
  }
}

const median = (side, field) =>
  results[side].map((result) => result[field]).sort((a, b) => a - b)[Math.floor(results[side].length / 2)];
const rows = [
  ['training, tokens/s', 'tokens_per_s'],
  ['decoding, tokens/s', 'decode_per_s'],
  ['peak memory, GB', 'peak_rss_gb'],
  ['load time, s', 'load_s'],
];
const { effective_layers: layers, trainable, engine } = results.glulam[0];
console.log(
  `\n${values.shape}, ${values.dtype}, ${values.seq} tokens, ${layers} virtual layers, ${trainable.toLocaleString('en-US')} trainable; ${engine}`,
);
console.log(
  `medians of ${values.rounds} rounds`.padEnd(24) +
    Object.keys(sides)
      .map((side) => side.padStart(12))
      .join('') +
    (sides.peft ? '       ratio' : ''),
);
for (const [label, field] of rows) {
  const figures = Object.keys(sides).map((side) => median(side, field));
  const ratio = sides.peft ? `${(figures[0] / figures[1]).toFixed(2)}x`.padStart(12) : '';
  console.log(label.padEnd(24) + figures.map((figure) => figure.toFixed(2).padStart(12)).join('') + ratio);
}

// Engines on TensorFlow.js: one line a backend that loads and a precision that it has, each in a process of its own,
// beside what its products reach.
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
line(`native ${values.dtype}`, results.glulam.at(-1));
for (const { name, loads, details } of await probeBackends()) {
  const backend = name.split(' ').at(-1);
  if (!loads) {
    console.log(`${name.padEnd(24)}  not measured: ${details}`);
    continue;
  }
  // Plain JavaScript would take minutes for a step.
  const seq = backend === 'cpu' ? '16' : values.seq;
  const onTensorflow = backend.startsWith('node');
  const steps = onTensorflow ? '5' : '2';
  const note = seq === values.seq ? '' : `   (${seq} tokens)`;
  for (const dtype of onTensorflow ? ['bfloat16', 'float32'] : ['float32']) {
    const args = ['--engine', backend, '--dtype', dtype, '--seq', seq, '--steps', steps, '--decode', '2'];
    const result = measure(process.execPath, [path.join(root, 'tools/bench/measure.mjs'), checkpoint, ...args]);
    line(`${name} ${dtype}`, result, note);
  }
}
