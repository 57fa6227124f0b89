import { whileUnchanged } from '@glulam/files';
import { eventTime } from '../events/event-time.js';
import { labelBatch } from '../step/batches.js';
import { learningRateAt } from '../step/schedule.js';
import { trainStep } from '../step/train-step.js';
import type { OpenRun } from './open-run.js';
import type { RunRecorder } from './run-recorder.js';

/** Where a run's steps ended. */
export interface LoopEnd {
  /** The last step done. */
  readonly step: number;
  /** Why it ended before its last step. */
  readonly stopped: string | undefined;
}

/** All steps of a run, with the evaluations and checkpoints that are due or asked for between them. */
export async function runLoop(open: OpenRun, recorder: RunRecorder): Promise<LoopEnd> {
  const { config, schedule, events, signal, folder: run, model, optimizer, steps, recorded, data, progress } = open;
  const { train: settings, evaluate: evaluation, checkpoint, seed } = config;
  const { maxGradientNorm, recompute } = settings;
  const { decoder } = model;
  const baseFiles = decoder.checkpoint.files;
  const batches = data.batches(progress.drawn);
  let { step } = progress;
  const save = (best: boolean): Promise<void> => recorder.save(step, { drawn: batches.drawn, best });
  const isDue = (every: number): boolean => step === steps || (every > 0 && step % every === 0);

  const evaluated = recorded.some((event) => event.type === 'evaluation.finished' && event.step === step);
  if (!evaluated && (step === 0 || isDue(evaluation.every))) await recorder.evaluate(step);
  const atStart = events.takeRequests();
  // Asked for while the run was opened: done after its first step.
  for (const request of ['evaluate', 'checkpoint'] as const) if (atStart.has(request)) events.request(request);
  if (atStart.has('keep best') && step > 0) await save(true);
  let stopped = signal.aborted ? 'interrupted' : atStart.get('stop');
  while (step < steps && stopped === undefined) {
    const begun = performance.now();
    const learningRate = learningRateAt(schedule, step);
    const micro = Array.from({ length: settings.accumulate }, () => labelBatch(batches.next()));
    const result = await whileUnchanged(baseFiles, () =>
      trainStep(decoder, optimizer, micro, { step, seed, learningRate, maxGradientNorm, recompute }),
    );
    const { loss, gradientNorm, tokens } = result;
    step += 1;
    events.emit({
      type: 'step.finished',
      time: eventTime(),
      step,
      steps,
      loss,
      gradientNorm,
      learningRate,
      tokens,
      tokensPerSecond: tokens / ((performance.now() - begun) / 1000),
    });

    // Between steps: what is due, and what was asked for. The best of evaluations is known once they are reported.
    const asked = events.takeRequests();
    if (isDue(evaluation.every) || asked.has('evaluate')) await recorder.evaluate(step);
    const then = events.takeRequests();
    if (signal.aborted) stopped = 'interrupted';
    else if (asked.has('stop') || then.has('stop')) stopped = asked.get('stop') ?? then.get('stop') ?? 'on request';
    const best = then.has('keep best') || asked.has('keep best');
    const isAsked = asked.has('checkpoint') || then.has('checkpoint');
    if (best || isAsked || isDue(checkpoint.every) || stopped !== undefined) await save(best);
    // Asked for during an evaluation: another one, after the next step.
    if (then.has('evaluate')) events.request('evaluate');
    run.check();
  }
  if (stopped !== undefined) {
    await save(false);
    events.emit({ type: 'run.stopped', time: eventTime(), step, reason: stopped });
  }
  return { step, stopped };
}
