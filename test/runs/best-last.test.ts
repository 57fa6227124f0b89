import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type * as files from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { definePlugin } from '@glulam/plugin';
import {
  events,
  evaluators,
  readRunSteps,
  train,
  type EvaluatorContribution,
  type RunConfigInput,
} from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { tap } from 'rxjs';
import { parse } from 'yaml';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { eventsOf, lossesByStep, tinyRun } from '../support/tiny.js';

/** Called before each renaming, by which every file and folder of a run gets or loses its name. */
const moves = vi.hoisted(() => ({ look: undefined as (() => void) | undefined }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof files>();
  const rename = async (from: string, to: string): Promise<void> => {
    moves.look?.();
    await real.rename(from, to);
  };
  return { ...real, rename };
});
afterEach(() => {
  moves.look = undefined;
});

const data = { train: tinyRun().config.data.train };
const adapterIn = (folder: string) => readFileSync(path.join(folder, 'adapter_model.safetensors'));
const adapterOf = (run: string) => adapterIn(path.join(run, 'adapter'));
const checkpoint = (run: string, step: number) => path.join(run, `checkpoints/step-${String(step).padStart(8, '0')}`);
const checkpointsOf = (run: string) =>
  readdirSync(path.join(run, 'checkpoints'))
    .filter((name) => !name.startsWith('.'))
    .sort();
const bestOf = (run: string) => JSON.parse(readFileSync(path.join(run, 'best.json'), 'utf8')) as { step: number };
const cardOf = (run: string) => readFileSync(path.join(run, 'README.md'), 'utf8');

/** A run whose evaluator `quiz` gives these values, one an evaluation, or of each step that of its number. */
function quizRun(
  values: readonly number[],
  { byStep = false, ...changes }: Partial<RunConfigInput> & { readonly byStep?: boolean } = {},
) {
  const run = tinyRun();
  let next = 0;
  const quiz: EvaluatorContribution = {
    kind: 'quiz',
    schema: z.strictObject({}),
    open: () => ({ evaluate: () => Promise.resolve({ accuracy: values[next++]! }) }),
  };
  const plugin = definePlugin({
    name: 'quiz',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => quiz }),
  });
  const fields = {
    ...run.config,
    data,
    train: { steps: 6, batch: 1, learningRate: 1e-3 },
    checkpoint: { every: 0, keep: 1 },
    evaluate: {
      evaluators: [{ kind: 'quiz' }],
      every: 2,
      watch: { evaluator: 'quiz', score: 'accuracy', better: 'higher' as const },
    },
    ...changes,
  };
  const resolved = resolveConfig(fields, [plugin], '/');
  resolved.composition.get(events).listen('steps', (all) =>
    all.pipe(
      tap((event) => {
        if (!byStep) return;
        if (event.type === 'run.started') next = event.resumedFrom ?? 0;
        if (event.type === 'step.finished') next = event.step;
      }),
    ),
  );
  return { out: run.out, ...resolved };
}

describe('the adapter folder', () => {
  test('holds the best step, as result, event and card say; what was last is beside it', async () => {
    const { out, config, composition } = quizRun([0.1, 0.5, 0.75, 0.25]);
    const last = { step: 6, value: 0.25 };
    const best = { step: 4, value: 0.75 };
    expect(await train(config, composition)).toMatchObject({ steps: 6, adapterStep: 4, last, best });
    expect(eventsOf(out).find(({ type }) => type === 'adapter.saved')).toMatchObject({
      step: 4,
      last,
      best,
      watched: 'quiz accuracy',
    });
    expect(adapterOf(out).equals(adapterIn(path.join(checkpoint(out, 4), 'adapter')))).toBe(true);
    expect(adapterOf(out).equals(adapterIn(path.join(checkpoint(out, 6), 'adapter')))).toBe(false);
    expect(readdirSync(path.join(out, 'adapter')).sort()).toEqual(
      readdirSync(path.join(checkpoint(out, 4), 'adapter')).sort(),
    );

    expect(cardOf(out)).toContain(
      'This is the adapter of step 4 (quiz accuracy 0.7500), which had the best score, not that of the last step, step 6 (quiz accuracy 0.2500).',
    );
    expect(cardOf(out)).toContain(
      '| score | before training | this adapter (step 4) | at the end |\n| --- | --- | --- | --- |\n| quiz accuracy | 0.1000 | 0.7500 | 0.2500 (step 6) |',
    );
    const front = parse(/^---\n([\s\S]*?)\n---\n/.exec(cardOf(out))![1]!) as Record<string, unknown>;
    expect(front['model-index']).toMatchObject([{ results: [{ metrics: [{ type: 'accuracy', value: 0.75 }] }] }]);
  });

  test('holds the last step where that is the best, and where no score is watched', async () => {
    const risen = quizRun([0.1, 0.2, 0.3, 0.4]);
    expect(await train(risen.config, risen.composition)).toMatchObject({
      adapterStep: 6,
      best: { step: 6, value: 0.4 },
      last: { step: 6, value: 0.4 },
    });
    expect(cardOf(risen.out)).toContain(
      'This is the adapter of step 6 (quiz accuracy 0.4000), which is the last step and had the best score.',
    );
    const plain = quizRun([], { evaluate: {} });
    const result = await train(plain.config, plain.composition);
    expect(result).toMatchObject({ adapterStep: 6, best: undefined, last: { step: 6, value: undefined } });
    expect(adapterOf(plain.out).equals(adapterIn(path.join(checkpoint(plain.out, 6), 'adapter')))).toBe(true);
    expect(cardOf(plain.out)).not.toMatch(/best|This is the adapter of step/);
    expect(existsSync(path.join(plain.out, 'best.json'))).toBe(false);
  });

  test('holds the last step, with a warning, where the best checkpoint is damaged', async () => {
    const { out, config, composition } = quizRun([0.1, 0.5, 0.75, 0.25]);
    const warnings: string[] = [];
    composition.get(events).listen('test', (all) =>
      all.pipe(
        tap((event) => {
          if (event.type === 'step.finished' && event.step === 6)
            truncateSync(path.join(checkpoint(out, 4), 'adapter/adapter_model.safetensors'), 100);
          if (event.type === 'warning') warnings.push(event.message);
        }),
      ),
    );
    expect(await train(config, composition)).toMatchObject({ adapterStep: 6, best: undefined, last: { step: 6 } });
    expect(warnings).toEqual([
      `${checkpoint(out, 4)} is damaged: adapter/adapter_model.safetensors is not as it was written. It is the best checkpoint; ${path.join(out, 'adapter')} holds the adapter of the last step instead`,
    ]);
  });

  test('a run that was stopped and resumed goes on from its last step, not from its best', async () => {
    const whole = quizRun([0.1, 0.9, 0.2, 0.3]);
    await train(whole.config, whole.composition);
    const run = quizRun([0.1, 0.9, 0.2, 0.3]);
    const stream = run.composition.get(events);
    const listening = stream.listen('test', (all) =>
      all.pipe(tap((event) => event.type === 'step.finished' && event.step === 5 && stream.request('stop'))),
    );
    expect(await train(run.config, run.composition)).toMatchObject({
      steps: 5,
      adapterStep: 2,
      best: { step: 2, value: 0.9 },
      last: { step: 5, value: undefined },
    });
    listening.unsubscribe();
    expect(await train(run.config, run.composition, { resume: true })).toMatchObject({ steps: 6, adapterStep: 2 });
    expect(eventsOf(run.out).findLast(({ type }) => type === 'run.started')).toMatchObject({ resumedFrom: 5 });
    expect(lossesByStep(run.out)).toEqual(lossesByStep(whole.out));
    expect(
      adapterIn(path.join(checkpoint(run.out, 6), 'adapter')).equals(
        adapterIn(path.join(checkpoint(whole.out, 6), 'adapter')),
      ),
    ).toBe(true);
    expect(checkpointsOf(run.out)).toEqual(['step-00000002', 'step-00000006']);
  });

  test('an evaluation that was interrupted and is taken when the run resumes counts for the best', async () => {
    const { out, config, composition } = quizRun([0.1, 0.2, 0.3, 0.9]);
    const controller = new AbortController();
    const listening = composition
      .get(events)
      .listen('test', (all) =>
        all.pipe(tap((event) => event.type === 'step.finished' && event.step === 6 && controller.abort())),
      );
    // The evaluator of this run knows no signal: its scores of step 6 are taken away as an abort would have it.
    await train(config, composition, { signal: controller.signal });
    listening.unsubscribe();
    const log = path.join(out, 'events.jsonl');
    const told = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => !/"evaluation.finished".*"step":6/.test(line));
    writeFileSync(log, told.join('\n'));
    writeFileSync(
      path.join(out, 'best.json'),
      JSON.stringify({ step: 4, folder: 'checkpoints/step-00000004', scores: { quiz: { accuracy: 0.3 } } }),
    );
    cpSync(checkpoint(out, 6), checkpoint(out, 4), { recursive: true });
    const again = quizRun([0.9], { out });
    expect(await train(again.config, again.composition, { resume: true })).toMatchObject({
      adapterStep: 6,
      best: { step: 6, value: 0.9 },
    });
    expect(bestOf(out)).toMatchObject({ step: 6, scores: { quiz: { accuracy: 0.9 } } });
  });
});

describe('the steps of a run', () => {
  test('are found by name, wherever they lie whole', async () => {
    const { out, config, composition } = quizRun([0.1, 0.5, 0.75, 0.25], { checkpoint: { every: 1, keep: 3 } });
    await train(config, composition);
    const found = readRunSteps(out);
    expect(found).toMatchObject({
      steps: [4, 5, 6],
      best: { step: 4, value: 0.75 },
      last: { step: 6, value: 0.25 },
      held: { step: 4, value: 0.75 },
      watched: 'quiz accuracy',
    });
    expect(found.find('best')).toEqual({
      step: 4,
      value: 0.75,
      adapterFolder: path.join(checkpoint(out, 4), 'adapter'),
    });
    expect(found.find('last')).toEqual({
      step: 6,
      value: 0.25,
      adapterFolder: path.join(checkpoint(out, 6), 'adapter'),
    });
    expect(found.find(5)).toEqual({
      step: 5,
      value: undefined,
      adapterFolder: path.join(checkpoint(out, 5), 'adapter'),
    });
    expect(() => found.find(50)).toThrow(
      `${out}@step-50: the run keeps no checkpoint of step 50; it has step-4 (the best), step-5, step-6 (the last)`,
    );

    truncateSync(path.join(checkpoint(out, 6), 'adapter/adapter_model.safetensors'), 100);
    expect(readRunSteps(out).find('last')).toMatchObject({ step: 5 });
    expect(() => readRunSteps(out).find(6)).toThrow(
      /@step-6: step 6 cannot be used \(.*step-00000006 is damaged: adapter\/adapter_model.safetensors is not as it was written\)/,
    );

    // Of a run that is passed on without its checkpoints, the adapter folder is the one step that is there.
    rmSync(path.join(out, 'checkpoints'), { recursive: true });
    expect(readRunSteps(out)).toMatchObject({ steps: [4], held: { step: 4 } });
    expect(readRunSteps(out).find('best')).toMatchObject({ step: 4, adapterFolder: path.join(out, 'adapter') });
    expect(readRunSteps(out).find(4)).toMatchObject({ adapterFolder: path.join(out, 'adapter') });
  });

  test('what the adapter folder holds is told by its content, also of runs of earlier versions', async () => {
    const { out, config, composition } = quizRun([0.1, 0.5, 0.75, 0.25]);
    await train(config, composition);
    rmSync(path.join(out, 'adapter'), { recursive: true });
    cpSync(path.join(checkpoint(out, 6), 'adapter'), path.join(out, 'adapter'), { recursive: true });
    expect(readRunSteps(out)).toMatchObject({ held: { step: 6 }, best: { step: 4 } });
    writeFileSync(path.join(out, 'adapter/adapter_model.safetensors'), 'of somebody else');
    expect(readRunSteps(out).held).toBeUndefined();
  });

  test('without a watched score there is no best, and damaged files of a run do not keep its last step away', async () => {
    const { out, config, composition } = quizRun([], { evaluate: {} });
    await train(config, composition);
    expect(() => readRunSteps(out).find('best')).toThrow(
      `${out}@best: the run kept no checkpoint for its score; it has step-6 (the last)`,
    );
    writeFileSync(path.join(out, 'best.json'), '{"step":');
    writeFileSync(
      path.join(out, 'events.jsonl'),
      '{"type":"evaluation.finished"\n{"type":"evaluation.finished","step":6}\n',
    );
    expect(readRunSteps(out).find('last')).toMatchObject({ step: 6 });
    expect(() => readRunSteps(out).find('best')).toThrow(/best.json does not name a checkpoint/);
  });
});

describe('kill -9', () => {
  test('before any file or folder gets its name: best and last are there, and the run ends as one that was not killed', async () => {
    const scores = [0.1, 0.5, 0.75, 0.25, 0.3];
    const changes = {
      byStep: true,
      train: { steps: 4, batch: 1, learningRate: 1e-3 },
      evaluate: { ...quizRun([]).config.evaluate, every: 1 },
      checkpoint: { every: 1, keep: 1 },
    };
    const whole = quizRun(scores, changes);
    const states: string[] = [];
    const folder = mkdtempSync(path.join(tmpdir(), 'glulam-killed-'));
    moves.look = () => {
      if (!existsSync(path.join(whole.out, 'config.json'))) return;
      states.push(path.join(folder, String(states.length)));
      cpSync(whole.out, states.at(-1)!, { recursive: true });
    };
    const result = await train(whole.config, whole.composition);
    moves.look = undefined;
    expect(result).toMatchObject({ best: { step: 2 }, last: { step: 4 } });
    expect(checkpointsOf(whole.out)).toEqual(['step-00000002', 'step-00000004']);
    expect(states.length).toBeGreaterThan(12);

    for (const out of states) {
      for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' }).sort().reverse()) {
        // The process that wrote them is dead.
        if (/^lock\.\d+$/.test(name)) rmSync(path.join(out, name));
        const dead = path.join(path.dirname(name), path.basename(name).replace(`.${process.pid}-`, '.4194304-'));
        if (dead !== name) renameSync(path.join(out, name), path.join(out, dead));
      }
      const before = existsSync(path.join(out, 'checkpoints')) ? readRunSteps(out) : undefined;
      if (before?.best !== undefined) expect(before.find('best').step).toBe(before.best.step);
      if (before?.last !== undefined) expect(before.find('last').step).toBe(before.last.step);

      const run = quizRun(scores, { ...changes, out });
      const state = path.basename(out);
      const { folder: _, adapterFolder: __, ...same } = result;
      expect(await train(run.config, run.composition, { resume: true }), state).toMatchObject(same);
      expect(bestOf(out), state).toEqual(bestOf(whole.out));
      expect(lossesByStep(out), state).toEqual(lossesByStep(whole.out));
      expect(adapterOf(out).equals(adapterOf(whole.out)), state).toBe(true);
      expect(checkpointsOf(out), state).toEqual(checkpointsOf(whole.out));
      const left = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) =>
        /\.tmp(\.old)?$/.test(name),
      );
      expect(left, state).toEqual([]);
    }
  });

  test('a damaged checkpoint ahead of a resumed run does not push whole ones out', async () => {
    const { out, config, composition } = quizRun([], { evaluate: {}, checkpoint: { every: 2, keep: 2 } });
    await train(config, composition);
    truncateSync(path.join(checkpoint(out, 6), 'optimizer.safetensors'), 100);
    const again = quizRun([], { out, evaluate: {}, checkpoint: { every: 1, keep: 1 } });
    const stream = again.composition.get(events);
    stream.listen('test', (all) =>
      all.pipe(tap((event) => event.type === 'step.finished' && event.step === 5 && stream.request('stop'))),
    );
    expect(await train(again.config, again.composition, { resume: true })).toMatchObject({ steps: 5 });
    expect(checkpointsOf(out)).toEqual(['step-00000005']);
  });

  test('where the newest checkpoint is the best and is damaged, an earlier best does not count for what is ahead', async () => {
    const { out, config, composition } = quizRun([0.1, 0.5, 0.6, 0.9], { checkpoint: { every: 2, keep: 3 } });
    await train(config, composition);
    expect(bestOf(out)).toMatchObject({ step: 6 });
    truncateSync(path.join(checkpoint(out, 6), 'optimizer.safetensors'), 100);
    // Step 6 is scored again, and is worse this time.
    const again = quizRun([0.2], { out, checkpoint: { every: 2, keep: 3 } });
    expect(await train(again.config, again.composition, { resume: true })).toMatchObject({
      adapterStep: 4,
      best: { step: 4, value: 0.6 },
      last: { step: 6, value: 0.2 },
    });
    expect(bestOf(out)).toEqual({ step: 4, folder: 'checkpoints/step-00000004', scores: { quiz: { accuracy: 0.6 } } });
  });
});
