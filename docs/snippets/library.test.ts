import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run, type Row } from 'glulam';
import { expect, test } from 'vitest';
import { fromDatabase, slowestStep, trainOn, trainUnlessThere, useRun } from './library.js';

const examples = path.resolve(import.meta.dirname, '../../examples');
const folder = mkdtempSync(path.join(tmpdir(), 'glulam-library-'));
const rows = readFileSync(path.join(examples, 'data/word-problems.train.jsonl'), 'utf8')
  .split('\n')
  .slice(0, 16)
  .map((line) => JSON.parse(line) as Row);

test('a run on rows is trained, stopped, resumed, refused with other rows, and used', async () => {
  const out = path.join(folder, 'run');
  const first = await trainOn(rows, out);
  expect(first).toMatchObject({ steps: 6, stopped: undefined });
  expect(await trainUnlessThere(rows.slice(1), out)).toContain('begun with other rows');
  expect(await trainUnlessThere(rows, out)).toBe(first.adapterFolder);
  const merged = path.join(folder, 'merged');
  const used = await useRun(out, merged);
  expect(used).toMatchObject({ layers: 12, loss: first.scores['loss']!['loss'] });
  expect(used.answer.length).toBeGreaterThan(0);
  expect(readdirSync(merged)).toContain('model.safetensors');
});

test('rows of a database are mixed with a file’s', async () => {
  let calls = 0;
  const config = fromDatabase(async function* () {
    calls += 1;
    await Promise.resolve();
    yield* rows;
  });
  const result = await run({ ...config, out: path.join(folder, 'mixed') }, { folder: examples });
  expect(result.steps).toBe(2);
  expect(calls).toBeGreaterThan(1);
});

test('events come as a stream', async () => {
  const out = path.join(folder, 'quickstart');
  expect(await slowestStep(out, { 'train.steps': 4, 'train.batch': 2, 'data.heldOut': 4 })).toBeGreaterThan(0);
  expect(readdirSync(path.join(out, 'checkpoints'))).toContain('step-00000002');
});
