import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createSampleRecorder } from '@glulam/testing';
import {
  evaluateAll,
  generateAnswers,
  meanLoss,
  openEvaluators,
  openModel,
  train,
  type Evaluator,
  type TextQuestion,
} from '@glulam/trainer';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { glulam, killed } from '../support/killable.js';
import { tinyRun } from '../support/tiny.js';

const root = path.resolve(import.meta.dirname, '../..');
const tiny = path.join(root, 'examples/models/tiny-mistral-gsm8k');
const problems = path.join(root, 'examples/data/word-problems.heldout.jsonl');
const truths = path.join(root, 'fixtures/lm-eval/truths.json');
const temporary = (): string => mkdtempSync(path.join(tmpdir(), 'glulam-samples-'));

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(1, -1) : [];

describe('glulam eval --samples', () => {
  const gsm8k = { kind: 'gsm8k', name: 'cot', profile: 'cot', shots: 2, file: problems, batch: 2 };
  const evaluators = JSON.stringify([{ kind: 'truthfulqa', file: truths }, gsm8k]);
  const args = (samples: string, ...more: string[]) => [
    'eval',
    tiny,
    '--evaluate.evaluators',
    evaluators,
    '--limit',
    '20',
    '--samples',
    samples,
    ...more,
  ];

  test('what was killed goes on, with the same scores and the same files', async () => {
    const [whole, cut] = [temporary(), temporary()];
    const straight = await glulam(args(whole));
    expect(straight).toMatchObject({
      code: 0,
      errors: expect.stringMatching(/^cot: strict: no answer was found in any of 20 texts[^\n]*\n$/) as string,
    });
    const [truthfulqa, cot] = straight.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(truthfulqa).toMatchObject({ evaluator: 'truthfulqa', questions: 5 });
    expect(cot).toMatchObject({ evaluator: 'cot', questions: 20 });

    // Killed twice: in the first group of questions, and in a later one.
    for (const id of [0, 11]) {
      const killAt = `wrote cot.jsonl ^{"id":${id},`;
      expect(await glulam(args(cut), { killAt })).toMatchObject(killed);
      expect(linesOf(path.join(cut, 'cot.jsonl')).length).toBeLessThan(20);
    }
    const resumed = await glulam(args(cut));
    expect(resumed.code).toBe(0);
    expect(resumed.errors).toMatch(/truthfulqa: goes on from the 5 samples[^]*cot: goes on from the 1\d samples/);
    expect(resumed.out).toBe(straight.out);
    for (const name of ['cot', 'truthfulqa'])
      expect(readFileSync(path.join(cut, `${name}.jsonl`), 'utf8')).toBe(
        readFileSync(path.join(whole, `${name}.jsonl`), 'utf8'),
      );
  });

  test('another model, other options or other data are refused', async () => {
    const samples = temporary();
    const rows = path.join(temporary(), 'rows.jsonl');
    writeFileSync(rows, '{"question":"1 + 1?","answer":"#### 2"}\n');
    const config = JSON.stringify([{ kind: 'gsm8k', shots: 0, file: rows }]);
    const evaluate = (...more: string[]) =>
      glulam(['eval', tiny, '--samples', samples, '--evaluate.evaluators', config, ...more]);
    expect((await evaluate()).code).toBe(0);
    expect(await evaluate('--limit', '1')).toMatchObject({
      code: 1,
      errors: expect.stringMatching(/options.limit: was not set, is 1/) as string,
    });
    expect(
      await evaluate('--precision', 'float32', '--expansion', '{"kind":"layer_map","layer_map":[[0,7]]}'),
    ).toMatchObject({ code: 1, errors: expect.stringMatching(/SAMPLES_UNUSABLE[^]*model: was "/) as string });
    writeFileSync(rows, '{"question":"1 + 1?","answer":"#### 3"}\n');
    expect(await evaluate()).toMatchObject({
      code: 1,
      errors: expect.stringMatching(/has sample 0 with another expected/) as string,
    });
  });
});

test('a run keeps the samples of its evaluations', async () => {
  const { config, composition, out } = tinyRun({
    train: { steps: 2, batch: 2 },
    evaluate: {
      evaluators: [
        { kind: 'truthfulqa', file: truths, limit: 2 },
        { kind: 'loss', limit: 2 },
      ],
    },
  });
  await train(config, composition);
  for (const step of ['00000000', '00000002']) {
    const samples = linesOf(path.join(out, `samples/step-${step}/truthfulqa.jsonl`));
    expect(samples.map((line) => (JSON.parse(line) as { id: number }).id)).toEqual([0, 1]);
    expect(existsSync(path.join(out, `samples/step-${step}/loss.jsonl`))).toBe(false);
  }
});

describe('evaluators of one config', () => {
  test('have names of their own', () => {
    const of = (...evaluators: { kind: string; [option: string]: unknown }[]) => {
      const { config, composition } = tinyRun({ evaluate: { evaluators } });
      return openEvaluators(config, composition).map(({ name }) => name);
    };
    const file = truths;
    expect(of({ kind: 'truthfulqa', file }, { kind: 'truthfulqa', name: 'few', file, limit: 2 })).toEqual([
      'truthfulqa',
      'few',
    ]);
    expect(() => of({ kind: 'loss' }, { kind: 'loss', limit: 2 })).toThrow(/two are called "loss"/);
    expect(() => of({ kind: 'loss', name: '../x' })).toThrow(/name is "..\/x"; expected letters/);
  });

  test('a limit is for all of them, and standard errors are there', async () => {
    const { config, composition } = tinyRun({
      evaluate: { evaluators: [{ kind: 'loss' }, { kind: 'truthfulqa', file: truths }] },
    });
    const model = await openModel(config, composition);
    const heldOut = [
      [1, 2, 3, 4],
      [5, 6, 7],
      [8, 9],
    ].map((ids) => ({ ids: Int32Array.from(ids), trained: Uint8Array.from(ids.map(() => 1)) }));
    const context = { ...model, heldOut, signal: new AbortController().signal };
    const scores = async (limit?: number) => {
      const chosen = openEvaluators(config, composition, limit === undefined ? {} : { limit });
      const found: Record<string, Readonly<Record<string, number>>> = {};
      for await (const { name, scores: each } of evaluateAll(chosen, context)) found[name] = each;
      return found;
    };
    const [two, one] = [await scores(2), await scores(1)];
    expect(two).toMatchObject({ loss: { tokens: 5 }, truthfulqa: { questions: 2 } });
    // Two examples: the ratio's error, spelled out from the losses of each alone.
    const { loss: all } = two;
    const first = one['loss']!['loss']! * 3;
    const second = all!['loss']! * 5 - first;
    const residuals = [first - all!['loss']! * 3, second - all!['loss']! * 2];
    expect(all!['loss_stderr']).toBeCloseTo(
      Math.sqrt(2 * residuals.reduce((sum, value) => sum + value ** 2, 0)) / 5,
      5,
    );
    expect(one['loss']!['loss_stderr']).toBe(0);
    expect(two['truthfulqa']).toHaveProperty('mc2_stderr');
    await model.close();
  });
});

describe('questions that cannot be answered are counted, and score as wrong', () => {
  const question = (prompt: string): TextQuestion => {
    return { prompt, expected: 'anything', grade: () => ({ scores: { right: 1 }, found: { right: 'x' } }) };
  };
  test('too long for the model', async () => {
    const { config, composition } = tinyRun();
    const model = await openModel(config, composition);
    const log = createSampleRecorder();
    const context = { ...model, heldOut: [], signal: new AbortController().signal, openSamples: log.openSamples };
    const samples = await generateAnswers(context, [question('word '.repeat(3000)), question('short')], {
      scores: ['right'],
      maxNewTokens: 4,
      stop: [],
      batch: 2,
    });
    expect(samples.map(({ scores, output }) => [scores, typeof output])).toEqual([
      [{ right: 0 }, 'undefined'],
      [{ right: 1 }, 'string'],
    ]);
    await model.close();
  });

  test('truthfulqa: a row that is no question, and one that is too long', async () => {
    const rows = JSON.parse(readFileSync(truths, 'utf8')) as { question: string }[];
    const file = path.join(temporary(), 'rows.json');
    writeFileSync(
      file,
      JSON.stringify([rows[0], { question: 'no choices' }, { ...rows[1], question: 'why '.repeat(3000) }]),
    );
    const { config, composition } = tinyRun({ evaluate: { evaluators: [{ kind: 'truthfulqa', file }] } });
    const model = await openModel(config, composition);
    const told: string[] = [];
    const context = {
      ...model,
      heldOut: [],
      signal: new AbortController().signal,
      warn: (text: string) => void told.push(text),
    };
    for await (const { scores } of evaluateAll(openEvaluators(config, composition), context)) {
      expect(scores).toMatchObject({ questions: 2, too_long: 1, skipped: 1 });
      expect(scores['mc1']).toBeLessThanOrEqual(0.5);
    }
    expect(told).toEqual([
      expect.stringMatching(/truthfulqa: .*rows.json: 1 of 3 rows are left out:\n {2}1 row \(2\): mc1_targets: /),
      'truthfulqa: 1 of 2 questions exceed the 2048 positions of the model and score as wrong',
    ]);
    await model.close();
  });
});

test('an evaluation that takes long says once a second how far it is', async () => {
  const { config, composition } = tinyRun();
  const model = await openModel(config, composition);
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const examples = [3, 9, 4].map((length) => {
    const ids = Int32Array.from({ length }, (_, i) => 1 + 7 * i);
    return { ids, trained: new Uint8Array(length).fill(1) };
  });
  const evaluator: Evaluator = {
    async evaluate({ decoder, onProgress }) {
      // At 0.6 s a call every second one comes a second after the last that was reported.
      const onExample = (done: number, total: number): void => {
        vi.advanceTimersByTime(600);
        onProgress?.(done, total);
      };
      const { loss } = await meanLoss(decoder, examples, { tokensPerBatch: 1, onProgress: onExample });
      for (let done = 4; done <= 8; done++) onExample(done, 8);
      return { loss };
    },
  };
  const progress: unknown[] = [];
  const context = { ...model, heldOut: examples, signal: new AbortController().signal };
  const chosen = [{ name: 'slow', kind: 'slow', options: {}, evaluator, when: 'always' as const }];
  const onProgress = (...said: unknown[]): void => void progress.push(said);
  for await (const { scores } of evaluateAll(chosen, context, { onProgress }))
    expect(scores['loss']).toBeGreaterThan(0);
  expect(progress).toEqual([
    ['slow', 2, 3],
    ['slow', 4, 8],
    ['slow', 6, 8],
    ['slow', 8, 8],
  ]);
  await model.close();
});
