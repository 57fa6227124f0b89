import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';

const tools = path.join(import.meta.dirname, 'measure');
const checkpoint = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-bench-')), 'tiny');
const run = (...args: string[]) => execFileSync(process.execPath, args, { encoding: 'utf8' });
const measure = (...args: string[]) =>
  JSON.parse(run(path.join(tools, 'measure.mjs'), checkpoint, ...args)) as Record<string, number & number[]>;

beforeAll(() => {
  run(path.join(tools, 'make-checkpoint.mjs'), checkpoint, '--shape', 'tiny');
});

test('training steps are measured on a checkpoint that the benchmark makes itself', () => {
  for (const kind of [['--products'], ['--dora'], ['--checkpointing', '--dtype', 'float32']]) {
    const before = Date.now() / 1000;
    const result = measure('--seq', '16', '--steps', '3', ...kind);
    expect(result.effective_layers).toBe(6);
    expect(result.losses).toHaveLength(3);
    expect(result.losses![2]!).toBeLessThan(result.losses![0]!);
    expect(result.step_times).toHaveLength(3);
    expect(result.first_step_at! - before).toBeGreaterThan(result.step_times![0]!);
    for (const figure of ['tokens_per_s', 'step_gflops', 'peak_rss_gb', 'load_s'])
      expect(result[figure], figure).toBeGreaterThan(0);
    expect(result.product_gflops !== undefined).toBe(kind[0] === '--products');
    expect(result.weights_gb).toBeLessThan(result.peak_rss_gb!);
  }
});

test('decoding and prompts are measured alone', () => {
  const result = measure('--steps', '0', '--decode', '4', '--prefill', '32');
  expect(result.decode_per_s).toBeGreaterThan(0);
  expect(result.prefill_times).toHaveLength(3);
  expect(result.losses).toEqual([]);
});

test('wrong options of the benchmark are refused with what was expected', () => {
  const refused = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [path.join(tools, '../bench.mjs'), ...args], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    return stderr;
  };
  expect(refused('--rows', 'lora,speed')).toContain('--rows has speed; expected some of lora, dora, float32');
  expect(refused('--shape', 'huge')).toContain('--shape is huge; expected bench or small');
  expect(refused('--rounds', '0')).toContain('--rounds is 0; expected a whole number from 1');
  expect(refused('--dtype', 'float16')).toContain('--dtype is float16; expected bfloat16 or float32');
  expect(refused('--peer', '/no/such')).toContain('make it by tools/peer/setup.sh /no/such');
  expect(refused('--speed')).toContain("Unknown option '--speed'");
});
