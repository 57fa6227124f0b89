import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writePeftAdapter } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { writeFileAtomic } from '@glulam/tensors';
import { tap } from 'rxjs';
import { labelBatch, type LabelledBatch } from './batches.js';
import { choose } from './choices.js';
import type { RunConfig } from './config.js';
import { openData } from './data/open-data.js';
import { TrainerError } from './errors.js';
import { events as eventsToken } from './events.js';
import { openEvaluators } from './open-evaluators.js';
import { openModel } from './open-model.js';
import { createOptimizer } from './optimizer.js';
import { reporters } from './reporter.js';
import { learningRateAt } from './schedule.js';
import { trainStep } from './train-step.js';

export interface TrainResult {
  readonly folder: string;
  readonly adapterFolder: string;
  readonly steps: number;
  /** Scores of the last evaluation, by evaluator. */
  readonly scores: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Train an adapter on an expanded model: one run, from its config to its folder. */
export async function train(
  config: RunConfig,
  composition: Composition,
  { signal = new AbortController().signal }: { readonly signal?: AbortSignal } = {},
): Promise<TrainResult> {
  const started = Date.now();
  const { out: folder, train: settings, seed } = config;
  const events = composition.get(eventsToken);
  const adapterFolder = path.join(folder, 'adapter');

  // Everything that can be refused is refused before the folder is touched.
  const chosen = openEvaluators(config, composition);
  const listeners = config.reporters.map((choice) => choose(composition, reporters, 'reporters', choice));
  if (existsSync(path.join(folder, 'events.jsonl'))) {
    throw new TrainerError(
      'RUN_INVALID',
      `${folder} holds a run already; choose another folder with --out, or remove it`,
    );
  }
  const model = await openModel(config, composition);
  const { decoder, tokenizer } = model;
  const closers: (() => void)[] = [];
  try {
    const data = await openData(config, composition, tokenizer, { signal });
    closers.push(() => data.close());
    const { heldOut } = data;
    const steps = settings.steps ?? (settings.epochs === undefined ? 100 : data.stepsIn(settings.epochs));

    await mkdir(folder, { recursive: true });
    await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    // Written at once, so that a run that is killed has told all that it did.
    const log = openSync(path.join(folder, 'events.jsonl'), 'a');
    const logging = events.listen('run folder', (stream) =>
      stream.pipe(tap((event) => writeSync(log, `${JSON.stringify(event)}\n`))),
    );
    closers.push(() => {
      logging.unsubscribe();
      closeSync(log);
    });
    for (const { contribution, options } of listeners) closers.push(contribution.open(options, events));

    const scores: Record<string, Readonly<Record<string, number>>> = {};
    const evaluate = async (step: number): Promise<void> => {
      for (const { kind, evaluator } of chosen) {
        scores[kind] = await evaluator.evaluate({ decoder, tokenizer, heldOut, signal });
        events.emit({ type: 'evaluation.finished', time: Date.now(), step, evaluator: kind, scores: scores[kind] });
      }
    };
    const save = async (step: number): Promise<void> => {
      await writePeftAdapter(decoder, adapterFolder, config.base);
      events.emit({ type: 'adapter.saved', time: Date.now(), step, folder: adapterFolder });
    };

    events.emit({
      type: 'run.started',
      time: started,
      folder,
      engine: `${decoder.engine.kind} (${decoder.engine.description}), ${decoder.engine.precision}`,
      physicalLayers: decoder.shape.physicalLayers,
      virtualLayers: decoder.layers.length,
      trainableParameters: [...decoder.parameters.values()].reduce((sum, { size }) => sum + size, 0),
      steps,
      examples: data.examples,
    });
    const { beta1, beta2, epsilon, weightDecay } = settings;
    const optimizer = createOptimizer(decoder.ops, decoder.parameters, { beta1, beta2, epsilon, weightDecay });
    closers.push(() => optimizer.close());
    const schedule = {
      kind: settings.schedule,
      peak: settings.learningRate,
      warmupSteps: settings.warmupSteps,
      steps,
    };
    const batches = data.batches(0);
    const nextBatch = (): LabelledBatch => labelBatch(batches.next());

    await evaluate(0);
    let step = 0;
    let stopped = false;
    while (step < steps && !stopped) {
      const begun = performance.now();
      const learningRate = learningRateAt(schedule, step);
      const micro = Array.from({ length: settings.accumulate }, nextBatch);
      const { maxGradientNorm, recompute } = settings;
      const { loss, gradientNorm, tokens } = await trainStep(decoder, optimizer, micro, {
        step,
        seed,
        learningRate,
        maxGradientNorm,
        recompute,
      });
      step += 1;
      const tokensPerSecond = tokens / ((performance.now() - begun) / 1000);
      events.emit({
        type: 'step.finished',
        time: Date.now(),
        step,
        steps,
        loss,
        gradientNorm,
        learningRate,
        tokens,
        tokensPerSecond,
      });

      const requests = events.takeRequests();
      stopped = signal.aborted || requests.has('stop');
      const due = config.evaluate.every > 0 && step % config.evaluate.every === 0 && step < steps;
      if (requests.has('evaluate') || due) await evaluate(step);
      if (requests.has('checkpoint')) await save(step);
    }
    await save(step);
    if (!signal.aborted) await evaluate(step);
    events.emit({ type: 'run.finished', time: Date.now(), folder, seconds: (Date.now() - started) / 1000 });
    return { folder, adapterFolder, steps: step, scores };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    events.emit({
      type: 'run.failed',
      time: Date.now(),
      code: typeof code === 'string' ? code : 'UNEXPECTED',
      message: error instanceof Error ? error.message : String(error),
    });
    throw error;
  } finally {
    for (const close of closers.reverse()) close();
    await model.close();
  }
}
