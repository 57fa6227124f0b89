import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { definePlugin } from '@glulam/plugin';
import {
  events,
  evaluators,
  openModel,
  train,
  trainStep,
  createOptimizer,
  firstNotFinite,
  labelBatch,
  type EvaluatorContribution,
  type RunConfigInput,
  type RunEvent,
} from '@glulam/trainer';
import { resolveConfig } from 'glulam';
import { tap } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eventsOf, smallHeldOut, tinyRun } from '../support/tiny.js';

const trainFile = tinyRun().config.data.train;

/** A run whose evaluator `scripted` gives these scores, one an evaluation. */
function scriptedRun(scores: readonly number[], changes: Partial<RunConfigInput> = {}) {
  const run = tinyRun();
  let next = 0;
  const scripted: EvaluatorContribution = {
    kind: 'scripted',
    schema: z.strictObject({}),
    open: () => ({ evaluate: () => Promise.resolve({ value: scores[next++]! }) }),
  };
  const plugin = definePlugin({
    name: 'scripted',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => scripted }),
  });
  const fields = {
    ...run.config,
    data: { train: trainFile },
    train: { steps: 20, batch: 1, learningRate: 1e-3 },
    checkpoint: { every: 0, keep: 1 },
    evaluate: {
      evaluators: [{ kind: 'scripted' }],
      every: 2,
      patience: 2,
      watch: { evaluator: 'scripted', score: 'value' },
    },
    ...changes,
  };
  return { out: run.out, skip: (count: number) => (next += count), ...resolveConfig(fields, [plugin], '/') };
}
const bestOf = (out: string) => JSON.parse(readFileSync(path.join(out, 'best.json'), 'utf8')) as object;
const checkpointsOf = (out: string) => readdirSync(path.join(out, 'checkpoints')).sort();

describe('early stopping and the best checkpoint', () => {
  // The untrained model's 1 is no score to beat; 5, 3 are better and better, 4, 3 are not.
  const scores = [1, 5, 3, 4, 3, 2];

  test('stops after `patience` evaluations that were no better, and keeps the best checkpoint with its scores', async () => {
    const { out, config, composition } = scriptedRun(scores);
    const result = await train(config, composition);
    expect(result).toMatchObject({ steps: 8 });
    expect(result.stopped).toBe('2 evaluations in a row brought no better scripted.value than 3 at step 4');
    expect(bestOf(out)).toEqual({ step: 4, folder: 'checkpoints/step-00000004', scores: { scripted: { value: 3 } } });
    expect(checkpointsOf(out)).toEqual(['step-00000004', 'step-00000008']);
    // The run's adapter is the one of step 4, not the last one.
    const [best, last, own] = ['checkpoints/step-00000004/adapter', 'checkpoints/step-00000008/adapter', 'adapter'].map(
      (at) => readFileSync(path.join(out, at, 'adapter_model.safetensors')),
    );
    expect([own!.equals(best!), own!.equals(last!)]).toEqual([true, false]);
  });

  test('higher can be better', async () => {
    const higher = { evaluator: 'scripted', score: 'value', better: 'higher' as const };
    const evaluate = { evaluators: [{ kind: 'scripted' }], every: 2, patience: 2, watch: higher };
    const { out, config, composition } = scriptedRun(scores, { evaluate });
    expect(await train(config, composition)).toMatchObject({ steps: 6 });
    expect(bestOf(out)).toMatchObject({ step: 2 });
  });

  test('counts on where a resumed run goes on', async () => {
    const run = scriptedRun(scores, { checkpoint: { every: 1, keep: 1 } });
    const stream = run.composition.get(events);
    const listening = stream.listen('test', (all) =>
      all.pipe(tap((event) => event.type === 'step.finished' && event.step === 7 && stream.request('stop'))),
    );
    expect(await train(run.config, run.composition)).toMatchObject({ steps: 7, stopped: 'on request' });
    listening.unsubscribe();
    expect(await train(run.config, run.composition, { resume: true })).toMatchObject({ steps: 8 });
    // It stays stopped.
    expect(await train(run.config, run.composition, { resume: true })).toMatchObject({ steps: 8 });
    expect(bestOf(run.out)).toMatchObject({ step: 4 });
  });

  test('a score that nothing gives is refused before anything is opened', async () => {
    const evaluate = { evaluators: [{ kind: 'scripted' }], patience: 2 };
    const { out, config, composition } = scriptedRun(scores, { evaluate });
    await expect(train(config, composition)).rejects.toThrow(
      /set evaluate.every\n {2}evaluate.watch.evaluator is "loss"; evaluators of this run: scripted/,
    );
    expect(existsSync(out)).toBe(false);
  });

  test('a misspelt evaluator or score is refused without patience too, the score as soon as there are scores', async () => {
    const evaluators = [{ kind: 'scripted' }];
    const other = scriptedRun(scores, { evaluate: { evaluators, watch: { evaluator: 'scriptd', score: 'value' } } });
    await expect(train(other.config, other.composition)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('evaluate.watch.evaluator is "scriptd"') as string,
    });
    const run = scriptedRun(scores, { evaluate: { evaluators, watch: { evaluator: 'scripted', score: 'valeu' } } });
    await expect(train(run.config, run.composition)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('evaluate.watch.score is "valeu"; the evaluator scripted gives value') as string,
    });
    expect(eventsOf(run.out).filter(({ type }) => type === 'step.finished')).toEqual([]);
  });

  test('a score that is not finite is reported, is never the best, and leaves a run that can be resumed', async () => {
    const { out, config, composition } = scriptedRun([1, 5, NaN, 4, NaN, NaN]);
    expect(await train(config, composition)).toMatchObject({ steps: 10 });
    expect(bestOf(out)).toMatchObject({ step: 6, scores: { scripted: { value: 4 } } });
    const warned = eventsOf(out).filter((event) => event.type === 'warning');
    expect(warned[0]).toMatchObject({ message: 'the evaluator scripted gives NaN as value' });
    const never = scriptedRun([1, NaN, NaN]);
    const result = await train(never.config, never.composition);
    expect(result.stopped).toBe('2 evaluations in a row brought no better scripted.value and none was finite');
    await expect(train(never.config, never.composition, { resume: true })).resolves.toMatchObject({ steps: 4 });
  });
});

describe('requests', () => {
  test('an evaluation and a checkpoint are made after the step in which they are asked for', async () => {
    const { out, config, composition } = tinyRun({
      data: { train: trainFile, heldOut: smallHeldOut() },
      train: { steps: 5, batch: 1 },
    });
    const stream = composition.get(events);
    const ask = (event: RunEvent) => {
      if (event.type === 'step.finished' && event.step === 2) stream.request('evaluate');
      if (event.type === 'step.finished' && event.step === 3) stream.request('checkpoint');
    };
    stream.listen('test', (all) => all.pipe(tap(ask)));
    await train(config, composition);
    const told = eventsOf(out).flatMap((event) =>
      event.type === 'evaluation.finished' || event.type === 'checkpoint.saved' ? [`${event.type} ${event.step}`] : [],
    );
    expect(told).toEqual([
      'evaluation.finished 0',
      'evaluation.finished 2',
      // The first evaluation of a trained model is the best so far.
      'checkpoint.saved 2',
      'checkpoint.saved 3',
      'evaluation.finished 5',
      'checkpoint.saved 5',
    ]);
  });
});

describe('values that are not finite', () => {
  test('name the step and the first virtual layer that gave them; the model stays as it was', async () => {
    const { config, composition } = tinyRun({ data: { train: trainFile } });
    const { decoder, close } = await openModel(config, composition);
    const optimizer = createOptimizer(decoder.ops, decoder.parameters, {
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
    });
    const [broken, sound] = [
      'model.layers.7.mlp.up_proj.lora_B.weight',
      'model.layers.9.mlp.up_proj.lora_A.weight',
    ].map((name) => decoder.parameters.get(name)!);
    const nan = decoder.engine.full(broken!.shape, NaN);
    decoder.engine.write(broken!, nan, [0, 0]);
    nan.release();
    const before = await decoder.engine.read(sound!);
    const batch = labelBatch([{ ids: Int32Array.from([1, 5, 9, 7]), trained: Uint8Array.from([0, 1, 1, 1]) }]);
    const live = decoder.engine.memory();
    const step = { step: 41, seed: 0, learningRate: 1e-3, maxGradientNorm: 1, recompute: false };
    await expect(trainStep(decoder, optimizer, [batch], step)).rejects.toMatchObject({
      code: 'LOSS_NOT_FINITE',
      // 0..3, 2..5, 4..7: virtual layer 7 is physical layer 5.
      message: expect.stringMatching(/^step 42 gave loss NaN .* come out of virtual layer 7 \(physical layer 5\)/),
    });
    expect(await decoder.engine.read(sound!)).toEqual(before);
    expect(decoder.engine.memory()).toEqual(live);
    optimizer.close();
    await close();
  });

  test('of gradients alone name the first layer on the way back', async () => {
    const { config, composition } = tinyRun({ data: { train: trainFile } });
    const { decoder, close } = await openModel(config, composition);
    const batch = labelBatch([{ ids: Int32Array.from([1, 5]), trained: Uint8Array.from([0, 1]) }]);
    const gradient = (value: number) => decoder.engine.full([2, 2], value);
    const gradients = new Map([
      ['model.layers.3.mlp.up_proj.lora_A.weight', gradient(NaN)],
      ['model.layers.10.mlp.up_proj.lora_A.weight', gradient(Infinity)],
      ['model.layers.11.mlp.up_proj.lora_A.weight', gradient(1)],
    ]);
    const passes = [{ batch, pass: { training: { seed: 0, step: 0 } } }];
    const { where, weight } = await firstNotFinite(decoder, passes, gradients);
    expect(where).toMatch(/is of virtual layer 10 \(physical layer 6\)/);
    expect(weight).toBeUndefined();
    for (const each of gradients.values()) each.release();
    await close();
  });

  test('end the run with its last good checkpoint whole', async () => {
    const { out, config, composition } = tinyRun({
      data: { train: trainFile },
      train: { steps: 9, batch: 1, learningRate: 1e30, warmupSteps: 0, maxGradientNorm: 0 },
      checkpoint: { every: 1 },
    });
    await expect(train(config, composition)).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' });
    const good = eventsOf(out).filter(({ type }) => type === 'step.finished').length;
    expect(checkpointsOf(out).at(-1)).toBe(`step-${String(good).padStart(8, '0')}`);
    expect(existsSync(path.join(out, 'adapter'))).toBe(false);
  });
});

describe('Ctrl-C', () => {
  const cli = path.resolve(import.meta.dirname, '../../packages/glulam/bin/glulam.js');
  /** Start a run that would take minutes, and send SIGINT so many times once `line` was printed. */
  function interrupted(line: RegExp, times: number) {
    const { config, out } = tinyRun({ data: { train: trainFile }, train: { steps: 5000, batch: 4 } });
    const file = path.join(path.dirname(out), 'run.json');
    writeFileSync(file, JSON.stringify({ ...config, reporters: [{ kind: 'console' }] }));
    return new Promise<{ code: number | null; printed: string; errors: string; out: string }>((done) => {
      const child = spawn(process.execPath, [cli, 'train', file, '--out', out], { env: { ...process.env, CI: '' } });
      let printed = '';
      let errors = '';
      let sent = 0;
      const send = (): void => {
        if (sent >= times) return;
        sent += 1;
        child.kill('SIGINT');
      };
      child.stdout.on('data', (text: Buffer) => {
        printed += text.toString();
        if (sent === 0 && line.test(printed)) send();
      });
      child.stderr.on('data', (text: Buffer) => {
        errors += text.toString();
        send();
      });
      child.on('close', (code) => done({ code, printed, errors, out }));
    });
  }

  test('once: the step is finished, a checkpoint written, and the run can go on', async () => {
    const { code, errors, out } = await interrupted(/step 1\//, 1);
    expect(errors).toMatch(/press Ctrl-C again/);
    expect(errors).not.toMatch(/\n {4}at /);
    expect(code).toBe(0);
    const { step } = eventsOf(out).find(({ type }) => type === 'run.stopped') as { step: number };
    expect(step).toBeGreaterThan(0);
    expect(checkpointsOf(out).at(-1)).toBe(`step-${String(step).padStart(8, '0')}`);
    expect(existsSync(path.join(out, 'adapter/adapter_model.safetensors'))).toBe(true);
  });

  test('twice: it ends at once', async () => {
    const { code, out } = await interrupted(/step 1\//, 2);
    expect(code).toBe(130);
    expect(eventsOf(out).some(({ type }) => type === 'run.finished')).toBe(false);
  });
});
