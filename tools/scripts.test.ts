import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { lossesByStep } from '../test/support/tiny.js';
import { memoryFaults } from './check/memory-faults.mjs';

// Scripts that people run by hand, each in a small form: a change that breaks one is seen here, and not months later.
const work = mkdtempSync(path.join(tmpdir(), 'glulam-scripts-'));
afterAll(() => rmSync(work, { recursive: true }));

const root = path.join(import.meta.dirname, '..');
/** GLULAM_FUZZ and the like are the scripts' own to set. */
const run = (script: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', path.join(import.meta.dirname, script), ...args],
    { cwd: root, encoding: 'utf8' },
  );
  return { status, stdout, stderr };
};

test('every script is run by a test, or is a part of one that is', () => {
  const texts = (folder: string, end: string): string[] =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith(end))
      .map((file) => readFileSync(path.join(root, folder, file), 'utf8'));
  const users = [...texts('tools', '.test.ts'), ...texts('test', '.test.ts'), ...texts('tools', '.mjs')];
  // What runs all of this.
  const runners = ['test.mjs', 'summary-reporter.mjs'];
  const scripts = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.mjs'))
    .map((file) => path.basename(file));
  const isUsed = (script: string): boolean => users.some((text) => new RegExp(`['/]${script}'`).test(text));
  expect(scripts.filter((script) => !isUsed(script) && !runners.includes(script))).toEqual([]);
});

describe('soak', () => {
  test('trains and finds that nothing is left behind', () => {
    const { status, stdout, stderr } = run('check/soak.mjs', '10');
    expect([status, stderr], stdout).toEqual([0, '']);
    const tensors = [...stdout.matchAll(/^step +(\d+) +(\d+) tensors/gm)].map(([, step, count]) => [
      Number(step),
      count,
    ]);
    expect(tensors.map(([step]) => step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(new Set(tensors.map(([, count]) => count)).size).toBe(1);
  });

  const rows = (change: (step: number) => object) =>
    Array.from({ length: 11 }, (_, step) => ({
      step: 100 * step,
      tensors: 5,
      bytes: 100,
      anonymous: 1e8,
      ...change(step),
    }));
  test.each([
    ['nothing', () => ({}), []],
    ['a tensor a step', (step: number) => ({ tensors: 5 + step }), ['live tensors changed between steps']],
    ['bytes', (step: number) => ({ bytes: step === 7 ? 101 : 100 }), ['live tensors changed between steps']],
    [
      'memory',
      (step: number) => ({ anonymous: step * 2 ** 22 }),
      ['anonymous memory grew by 20.0 MiB in the second half'],
    ],
    ['a first figure of its own', (step: number) => (step === 0 ? { tensors: 1, anonymous: 0 } : {}), []],
  ])('reports what grows: %s', (_, change, faults) => {
    expect(memoryFaults(rows(change))).toEqual(faults);
  });
});

test('fuzz gives a reader as many damaged inputs as it is asked for', () => {
  const { status, stdout } = run('check/fuzz.mjs', '40', '-t', 'mergekit');
  expect(status, stdout).toBe(0);
  expect(stdout).toMatch(/: 40 inputs in \S+ s, \d+ read, \d+ refused/);
});

test('kill-runs kills runs as often as it is asked for', () => {
  const { status, stdout } = run('check/kill-runs.mjs', '1');
  expect(status, stdout).toBe(0);
  expect(stdout).toMatch(/1 kills? at \d{2,} points/);
});

test('quickstart trains and lets the model answer', () => {
  const folder = path.join(work, 'quickstart');
  const { status, stdout, stderr } = run('quickstart.mjs', folder, '--train.steps', '2');
  expect(status, stderr).toBe(0);
  expect([...lossesByStep(folder).keys()]).toEqual([1, 2]);
  expect(stdout).toContain(`the adapter, in PEFT's format, is ${folder}/adapter`);
});

describe('bench', () => {
  test('measures a row and writes its page', () => {
    const { status, stdout, stderr } = run('bench/bench.mjs', '--shape', 'tiny', '--rows', 'lora', '--rounds', '1');
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\| LoRA step, bfloat16 base, nothing recomputed \| +\| +\d+ tokens\/s/);
    expect(readFileSync(path.join(root, 'bench/work/tiny.md'), 'utf8')).toContain('The shape `tiny`');
  });

  test('of Mistral measures on a tiny shape, prints, and removes its checkpoint', () => {
    const { status, stdout, stderr } = run('bench/bench-mistral.mjs', '--shape', 'tiny', '--steps', '2');
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/4 layers as 6 virtual layers/);
    expect(stdout).toMatch(
      /\| a step \| [\d.]+ s \|\n\| peak memory \| [\d.]+ GB \|\n\| beyond the weights \| [\d.]+ GB \|/,
    );
    expect(existsSync(path.join(root, 'bench/work/tiny-48-layers'))).toBe(false);
  });

  test('of Mistral refuses fewer steps than two', () => {
    expect(run('bench/bench-mistral.mjs', '--steps', '1')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--steps is 1; expected'),
    });
  });

  test('of scaling measures, fits, projects and draws', (context) => {
    if (process.platform !== 'linux') context.skip('memory is read from /proc');
    const folder = path.join(work, 'scaling');
    const { status, stderr } = run('bench/bench-scaling.mjs', '--check', folder);
    expect(status, stderr).toBe(0);
    const page = readFileSync(path.join(folder, 'check.md'), 'utf8');
    expect(page).toMatch(/\| 128 \| [\d.,]+ \| [\d.,]+ \| \d+ \| \d+ \|/);
    expect(page).toMatch(/\| Llama 2 70B \| 140 \| 2048 \| yes \|/);
    expect(readFileSync(path.join(folder, 'check-tokens.svg'), 'utf8')).toMatch(/^<svg[\s\S]*>128<[\s\S]*>256</);
  });

  test('of scaling refuses other options', () => {
    expect(run('bench/bench-scaling.mjs', '--small')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('usage:'),
    });
  });
});

test('check-peft says which environment it needs before it trains', () => {
  expect(run('check/check-peft.mjs')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^usage: .*VENV/) });
  const none = path.join(work, 'none');
  expect(run('check/check-peft.mjs', none)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`${none} has no bin/python`),
  });
});

describe('check-masks', () => {
  const made = path.join(root, 'fixtures/masks');

  test('says which environment it needs', () => {
    expect(run('check/check-masks.mjs')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^usage: .*VENV/) });
    const none = path.join(work, 'none');
    expect(run('check/check-masks.mjs', none)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`${none} has no bin/python`),
    });
  });

  test('finds the tokens and masks of transformers in conversations', () => {
    const { status, stdout } = run('check/check-masks.mjs', '--made', made);
    const line = (name: string) => `${name}: 334 texts compared, 0 with other ids, 0 with another mask\n`;
    expect(stdout).toBe(['gpt2', 'llama2', 'unigram-bytes', 'qwen2'].map(line).join(''));
    expect(status).toBe(0);
  });

  test('ends with 1 where they differ, and shows the first', () => {
    const changed = path.join(work, 'masks');
    cpSync(made, changed, { recursive: true });
    const file = path.join(changed, 'cases.json');
    const cases = JSON.parse(readFileSync(file, 'utf8')) as {
      tokenizers: string[];
      templates: Record<string, { source: string }>;
    };
    cases.tokenizers = ['gpt2'];
    // The mark moves over the end of the turn.
    const { trimmed } = cases.templates;
    trimmed!.source = trimmed!.source.replace(
      '{{ eos_token }}{% endgeneration %}',
      '{% endgeneration %}{{ eos_token }}',
    );
    writeFileSync(file, JSON.stringify(cases));
    const { status, stdout } = run('check/check-masks.mjs', '--made', changed);
    expect(stdout).toMatch(
      /^gpt2: 334 texts compared, 0 with other ids, 24 with another mask\n {2}trimmed, with marks\n {2}ours: /,
    );
    expect(status).toBe(1);
  });
});

test('compare-lm-eval ends with 1 where samples differ, and names them', () => {
  const [ours, theirs] = ['ours.jsonl', 'theirs.jsonl'].map((name) => path.join(work, name)) as [string, string];
  const write = (file: string, rows: object[]): void =>
    writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const sample = { id: 0, prompt: 'a', choices: [' b', ' c'], output: [-1, -2], scores: { acc: 1 } };
  write(theirs, [
    {
      doc_id: 0,
      filter: 'none',
      arguments: [
        ['a', ' b'],
        ['a', ' c'],
      ],
      resps: [[[-1]], [[-2]]],
      filtered_resps: [],
      acc: 1,
    },
  ]);
  write(ours, [{ version: 1 }, sample]);
  expect(run('check/compare-lm-eval.mjs', ours, theirs)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^1 compared, 0 differences/),
  });
  write(ours, [{ version: 1 }, { ...sample, output: [-1, -2.5] }]);
  expect(run('check/compare-lm-eval.mjs', ours, theirs)).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/^sample 0 \(none\): the log probability of c is -2.5; the harness's is -2/),
  });
  expect(run('check/compare-lm-eval.mjs')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^usage:/) });
});
