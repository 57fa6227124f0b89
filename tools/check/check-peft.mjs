#!/usr/bin/env node
// Trains a few steps with each kind of adapter that PEFT reads, then lets PEFT compute logits with what was saved and
// compares them: what was saved here is what PEFT computes.
//
// usage: node tools/check/check-peft.mjs VENV     (a Python environment made by tools/peer/setup.sh)
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { packTokens } from '@glulam/model';
import { openModel } from '@glulam/trainer';
import { loadConfig } from 'glulam';

const [venv] = parseArgs({ allowPositionals: true }).positionals;
const python = path.join(venv ?? '', 'bin/python');
if (venv === undefined || !existsSync(python)) {
  if (venv !== undefined) console.error(`${venv} has no bin/python`);
  console.error('usage: node tools/check/check-peft.mjs VENV   (made by tools/peer/setup.sh VENV)');
  process.exit(1);
}
const root = path.resolve(import.meta.dirname, '../..');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-peft-'));

const adapters = {
  lora: { kind: 'lora', r: 8, lora_alpha: 16 },
  'ranks by uses': { kind: 'lora', r: { first: 2, repeats: 6 }, lora_alpha: 8 },
  'repeats alone, rsLoRA': { kind: 'lora', r: { first: 0, repeats: 6 }, lora_alpha: 8, use_rslora: true },
  'modules to save': {
    kind: 'lora',
    r: 4,
    modules_to_save: ['embed_tokens', 'lm_head', 'norm', 'v_proj'],
    bias: 'all',
  },
  pissa: { kind: 'lora', r: { first: 2, repeats: 6 }, lora_alpha: 8, lora_dropout: 0.1, init_lora_weights: 'pissa' },
  'pissa with dora': { kind: 'dora', r: 8, lora_alpha: 16, init_lora_weights: 'pissa_niter_4' },
  dora: { kind: 'dora', r: 8, lora_alpha: 16, loraplus_lr_ratio: 4 },
};
let wrong = 0;
for (const [name, adapter] of Object.entries(adapters)) {
  const run = path.join(work, name.replaceAll(/\W+/g, '-'));
  const { worst, tokens } = await compare(run, adapter);
  console.log(
    `${name}: over ${tokens} tokens logits differ by at most ${worst.toExponential(2)} of the largest (allowed: 1e-4)`,
  );
  if (!(worst < 1e-4)) wrong += 1;
}
process.exitCode = wrong === 0 ? 0 : 1;

async function compare(run, adapter) {
  const glulam = path.join(root, 'packages/glulam/bin/glulam.js');
  const config = path.join(root, 'examples/quickstart/glulam.config.ts');
  const options = ['--adapter', JSON.stringify(adapter), '--train.steps', '5', '--precision', 'float32', '--out', run];
  execFileSync(process.execPath, [glulam, 'train', config, ...options], { stdio: ['ignore', 'ignore', 'inherit'] });

  const loaded = await loadConfig(path.join(run, 'config.json'));
  const adapterFolder = path.join(run, 'adapter');
  const { decoder, tokenizer, close } = await openModel(loaded.config, loaded.composition, { adapterFolder });
  const ids = tokenizer.encode(
    'Question: Mia has 3 boxes with 4 pencils each. How many pencils does she have?\nAnswer:',
  );
  const hidden = await decoder.forward(packTokens([ids]));
  const logits = decoder.logits(
    hidden,
    ids.map((_, i) => i),
  );
  const ours = await decoder.engine.read(logits);
  hidden.release();
  logits.release();
  await close();

  const [idsFile, out] = [path.join(run, 'ids.json'), path.join(run, 'logits.json')];
  writeFileSync(idsFile, JSON.stringify(ids));
  const script = path.join(import.meta.dirname, '../peer/check_adapter.py');
  execFileSync(python, [script, loaded.config.base, adapterFolder, idsFile, out], { stdio: 'inherit' });
  const theirs = JSON.parse(readFileSync(out, 'utf8')).flat();
  const largest = Math.max(...theirs.map(Math.abs));
  return { tokens: ids.length, worst: Math.max(...theirs.map((value, i) => Math.abs(value - ours[i]))) / largest };
}
