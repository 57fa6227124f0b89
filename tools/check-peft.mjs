#!/usr/bin/env node
// Trains a few steps, then lets PEFT read the adapter and compares logits: what was saved here is what PEFT computes.
//
// usage: node tools/check-peft.mjs VENV     (a Python environment made by tools/peer/setup.sh)
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { packTokens } from '@glulam/model';
import { openModel } from '@glulam/trainer';
import { loadConfig } from 'glulam';

const [venv] = process.argv.slice(2);
if (venv === undefined) {
  console.error('usage: node tools/check-peft.mjs VENV   (made by tools/peer/setup.sh VENV)');
  process.exit(1);
}
const root = path.resolve(import.meta.dirname, '..');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-peft-'));
const run = path.join(work, 'run');
const glulam = path.join(root, 'packages/glulam/bin/glulam.js');
const config = path.join(root, 'examples/quickstart/glulam.config.ts');
const options = ['--train.steps', '5', '--precision', 'float32', '--out', run];
execFileSync(process.execPath, [glulam, 'train', config, ...options], { stdio: 'inherit' });

const loaded = await loadConfig(path.join(run, 'config.json'));
const model = await openModel(loaded.config, loaded.composition, { adapterFolder: path.join(run, 'adapter') });
const { decoder, tokenizer } = model;
const ids = tokenizer.encode('Question: Mia has 3 boxes with 4 pencils each. How many pencils does she have?\nAnswer:');
const hidden = await decoder.forward(packTokens([ids]));
const logits = decoder.logits(hidden, ids.map((_, i) => i)); // prettier-ignore
const ours = await decoder.engine.read(logits);
hidden.release();
logits.release();
await model.close();

const idsFile = path.join(work, 'ids.json');
const out = path.join(work, 'logits.json');
writeFileSync(idsFile, JSON.stringify(ids));
const script = path.join(import.meta.dirname, 'peer/check_adapter.py');
const python = path.join(venv, 'bin/python');
execFileSync(python, [script, loaded.config.base, path.join(run, 'adapter'), idsFile, out], { stdio: 'inherit' });
const theirs = JSON.parse(readFileSync(out, 'utf8')).flat();
const largest = Math.max(...theirs.map(Math.abs));
const worst = Math.max(...theirs.map((value, i) => Math.abs(value - ours[i])));
console.log(
  `${ids.length} tokens: the logits differ by at most ${(worst / largest).toExponential(2)} of the largest (allowed: 1e-4)`,
);
process.exitCode = worst / largest < 1e-4 ? 0 : 1;
