import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RunEvent } from '@glulam/trainer';
import { run } from 'glulam';
import llamaPro from '../../examples/quickstart/llama-pro.config.js';
import { afterEach, expect, test, vi } from 'vitest';

// The examples run as their readers run them; what they print is what is looked at.
afterEach(() => vi.restoreAllMocks());

function printed(): string[] {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...words: unknown[]) => void lines.push(words.map(String).join(' ')));
  return lines;
}
const lossesIn = (lines: readonly string[]) =>
  lines.flatMap((line) => /^step \d+: loss (\d+\.\d+)/.exec(line)?.slice(1).map(Number) ?? []);

test('a pipeline trains, evaluates on request, stops by signal and goes on', async () => {
  const lines = printed();
  await import('../../examples/pipelines/train-and-resume.js');
  expect(lines[0]).toMatch(/^plan: 325632 trainable parameters, peak \d+ MB: fits$/);
  expect(lossesIn(lines)).toHaveLength(6);
  expect(lines.filter((line) => line.startsWith('step 0: held-out'))).toHaveLength(1);
  expect(lines.filter((line) => line.startsWith('step 3: held-out'))).toHaveLength(1);
  expect(lines).toContain('stopped after step 6: interrupted');
  expect(lines.at(-1)).toMatch(/^went on to step 12; the adapter is in .*adapter$/);
});

test('decoder and trainer without config or plugins learn two answers', async () => {
  const lines = printed();
  const text: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((piece) => (text.push(String(piece)), true));
  await import('../../examples/pipelines/train-by-hand.js');
  vi.restoreAllMocks();
  const losses = lossesIn(lines);
  expect(losses).toHaveLength(20);
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
  expect(text.join('')).toMatch(/2 \+ 3 = 5/);
});

test('LLaMA-Pro’s recipe begins with the base’s loss and trains the copies alone', async () => {
  const out = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-llama-pro-')), 'run');
  const folder = path.resolve(import.meta.dirname, '../../examples/quickstart');
  const told: RunEvent[] = [];
  const short = { train: { ...llamaPro.train, steps: 6, warmupSteps: 1 }, reporters: [], out };
  const onEvent = (event: RunEvent): void => void told.push(event);
  await run({ ...llamaPro, ...short }, { folder, onEvent });
  const base = {
    ...llamaPro,
    ...short,
    expansion: undefined,
    adapter: undefined,
    train: { steps: 1 },
    out: `${out}-base`,
  };
  await run(base, { folder, onEvent });
  const scores = told.flatMap((event) => (event.type === 'evaluation.finished' ? [event.scores['loss']!] : []));
  expect(scores[0]).toBe(scores[2]);
  expect(scores[1]).toBeLessThan(scores[0]! - 0.05);
  // Two copies of a layer: attention, MLP and norms.
  const layer = 192 * 192 * 2 + 2 * 64 * 192 + 3 * 512 * 192 + 2 * 192;
  expect(told.find((event) => event.type === 'run.started')).toMatchObject({
    virtualLayers: 10,
    trainableParameters: 2 * layer,
  });
});

test('two adapters of one model, alone, summed and neither', async () => {
  const lines = printed();
  await import('../../examples/pipelines/several-adapters.js');
  expect(lines).toHaveLength(4);
  expect(lines[1]).toMatch(/^\[\{"name":"first","weight":0.7\},\{"name":"second","weight":0.3\}\] \["[^]+","[^]+"\]$/);
  // The trained adapter changes what is said.
  expect(lines[0]!.replace(/^.*?\] /, '')).not.toBe(lines[2]!.replace('"none" ', ''));
});
