import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

// The built package, as a user's config names it.
const glulam = path.join(path.dirname(createRequire(import.meta.url).resolve('glulam')), '../bin/glulam.js');
const example = path.resolve(import.meta.dirname, '../example');

function train(config: string) {
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-use-')), 'run');
  const { status, stderr } = spawnSync(process.execPath, [glulam, 'train', path.join(example, config), '--out', out], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const events = readFileSync(path.join(out, 'events.jsonl'), 'utf8').trim().split('\n');
  const losses = events
    .map((line) => JSON.parse(line) as { type: string; loss: number })
    .flatMap(({ type, loss }) => (type === 'step.finished' ? [loss] : []));
  return { out, losses };
}

test(
  'by name in a JSON config and as a value in a TypeScript config it is one and the same run',
  { timeout: 120_000 },
  () => {
    const [named, given] = [train('glulam.config.json'), train('glulam.config.ts')];
    expect(named.losses).toHaveLength(12);
    expect(named.losses.at(-1)!).toBeLessThan(named.losses[0]! - 0.5);
    expect(given.losses).toEqual(named.losses);
    expect(existsSync(path.join(named.out, 'adapter/adapter_model.safetensors'))).toBe(true);
  },
);
