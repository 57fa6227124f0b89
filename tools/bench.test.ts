import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

test('the benchmark measures a step and decoding on a checkpoint that it makes itself', () => {
  const tools = path.join(import.meta.dirname, 'bench');
  const checkpoint = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-bench-')), 'tiny');
  const run = (...args: string[]) => execFileSync(process.execPath, args, { encoding: 'utf8' });
  run(path.join(tools, 'make-checkpoint.mjs'), checkpoint, '--shape', 'tiny');
  const printed = run(path.join(tools, 'measure.mjs'), checkpoint, '--seq', '16', '--steps', '3', '--decode', '2');
  const result = JSON.parse(printed) as { losses: number[]; effective_layers: number; [name: string]: unknown };
  expect(result.effective_layers).toBe(6);
  expect(result.losses).toHaveLength(3);
  expect(result.losses[2]!).toBeLessThan(result.losses[0]!);
  for (const figure of ['tokens_per_s', 'decode_per_s', 'peak_rss_gb', 'load_s'])
    expect(result[figure], figure).toBeGreaterThan(0);
});
