#!/usr/bin/env node
// Trains a tiny Mistral from nothing: random weights, the tokenizer of examples/models/tiny-mistral-gsm8k, the short word
// problems of examples/data. A few minutes on two cores. In FOLDER are then `random` (what it began as), `run` and
// `model`, a plain checkpoint like any base.
//
// usage: npm run train-tiny-base -- FOLDER [--layers 4] [--hidden 128] [--steps 400] [--seed 0]
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { sizeOf, writeSafetensors } from '@glulam/files';
import { normals } from '@glulam/tensors';
import { run } from 'glulam';
import { tensorsOf } from '../bench/measure/make-checkpoint.mjs';
import { root, runProgram } from '../prepare.mjs';

const { values, positionals } = parseArgs({
  options: {
    layers: { type: 'string', default: '4' },
    hidden: { type: 'string', default: '128' },
    steps: { type: 'string', default: '400' },
    seed: { type: 'string', default: '0' },
  },
  allowPositionals: true,
});
const [layers, hidden, steps, seed] = ['layers', 'hidden', 'steps', 'seed'].map((name) => Number(values[name]));
const [folder] = positionals;
const fault =
  folder === undefined || positionals.length > 1
    ? 'expected one FOLDER'
    : existsSync(folder)
      ? `${folder} is there already`
      : ![layers, hidden, steps, seed].every(Number.isInteger) ||
          layers < 1 ||
          hidden < 16 ||
          hidden % 16 !== 0 ||
          steps < 1
        ? '--layers, --hidden, --steps and --seed are whole numbers, hidden a multiple of 16'
        : undefined;
if (fault !== undefined) {
  console.error(
    `${fault}\nusage: npm run train-tiny-base -- FOLDER [--layers 4] [--hidden 128] [--steps 400] [--seed 0]`,
  );
  process.exit(1);
}

const [random, model] = ['random', 'model'].map((name) => path.join(folder, name));
await writeRandom(random);
const data = path.join(root, 'examples/data');
const { adapterFolder, scores } = await run({
  base: path.resolve(random),
  adapter: { kind: 'full' },
  precision: 'float32',
  seed,
  data: {
    train: path.join(data, 'word-problems.train.jsonl'),
    heldOut: path.join(data, 'word-problems.heldout.jsonl'),
    loss: 'all',
  },
  train: { steps, batch: 16, learningRate: 2e-3, warmupSteps: Math.min(20, steps), beta2: 0.95, weightDecay: 0.01 },
  checkpoint: { every: 0 },
  out: path.resolve(folder, 'run'),
});
const cli = path.join(root, 'packages/glulam/bin/glulam.js');
glulam('merge', adapterFolder, '--out', model);
glulam('generate', writeConfig(), '--prompt', 'Question: Mia has 3 boxes', '--max-tokens', '60');
console.log(
  `\nheld-out loss ${scores.loss.loss.toFixed(3)} (a guess among all tokens is ${Math.log(vocabulary()).toFixed(3)}); the model is ${model}`,
);

/** Mistral's first values: normal with deviation 0.02, norms 1. */
async function writeRandom(to) {
  mkdirSync(to, { recursive: true });
  const like = path.join(root, 'examples/models/tiny-mistral-gsm8k');
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(path.join(like, name), path.join(to, name));
  const config = {
    ...JSON.parse(readFileSync(path.join(like, 'config.json'), 'utf8')),
    hidden_size: hidden,
    intermediate_size: Math.ceil((8 * hidden) / 3 / 16) * 16,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: hidden / 4,
    dtype: 'float32',
  };
  writeFileSync(path.join(to, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  await writeSafetensors(
    path.join(to, 'model.safetensors'),
    [...tensorsOf(config)].map(([name, shape], index) => ({
      name,
      shape,
      dtype: 'float32',
      values: () =>
        shape.length === 1
          ? new Float32Array(shape[0]).fill(1)
          : normals(sizeOf(shape), [seed, 0, 0, index]).map((value) => 0.02 * value),
    })),
  );
}

function vocabulary() {
  return JSON.parse(readFileSync(path.join(model, 'config.json'), 'utf8')).vocab_size;
}

/** A config of the trained model as a base, for whoever goes on with it. */
function writeConfig() {
  const file = path.join(folder, 'model.config.json');
  const config = { base: './model', data: { train: path.join(data, 'word-problems.train.jsonl') } };
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  return file;
}

/** @param {string[]} args */
function glulam(...args) {
  const status = runProgram(process.execPath, [cli, ...args]);
  if (status !== 0) process.exit(status);
}
