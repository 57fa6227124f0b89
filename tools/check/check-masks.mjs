#!/usr/bin/env node
// Compares the tokens of conversations, and which of them are learnt, with transformers: generated conversations x
// tokenizers x chat templates, each template with and without marks of what the assistant writes.
//
// usage: node tools/check/check-masks.mjs VENV [COUNT] [TOKENIZERS]   (a Python environment made by tools/peer/setup.sh;
//        conversations, default 2000; names out of fixtures/tokenizers/kinds, default 9 of them)
//        node tools/check/check-masks.mjs --made FOLDER   (what tools/peer/make_masks.py wrote)
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { compareMasks } from '../peer/compare-masks.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { made: { type: 'string' } } });
const [venv, count = '2000', ...tokenizers] = positionals;
const python = path.join(venv ?? '', 'bin/python');
if (values.made === undefined && !existsSync(python)) {
  if (venv !== undefined) console.error(`${venv} has no bin/python`);
  console.error(
    'usage: node tools/check/check-masks.mjs VENV [COUNT] [TOKENIZERS]   (made by tools/peer/setup.sh VENV)',
  );
  process.exit(1);
}
const work = values.made ?? mkdtempSync(path.join(tmpdir(), 'glulam-masks-'));
if (values.made === undefined) {
  const script = path.join(import.meta.dirname, '../peer/make_masks.py');
  const kinds = path.resolve(import.meta.dirname, '../../fixtures/tokenizers/kinds/kinds.json.gz');
  execFileSync(python, [script, kinds, work, count, ...tokenizers], { stdio: 'inherit' });
}

const cases = JSON.parse(readFileSync(path.join(work, 'cases.json'), 'utf8'));
let wrong = 0;
for (const name of cases.tokenizers) {
  const outcomes = gunzipSync(readFileSync(path.join(work, `${name}.jsonl.gz`)))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { compared, ids, masks, first } = compareMasks(path.join(work, name), cases, outcomes);
  console.log(`${name}: ${compared} texts compared, ${ids} with other ids, ${masks} with another mask`);
  if (first !== undefined) console.log(first);
  wrong += ids + masks;
}
if (values.made === undefined) rmSync(work, { recursive: true });
process.exitCode = wrong === 0 ? 0 : 1;
