import { readdirSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { openReportFile, reportPlace, type ReportFile, type RunEvent, type RunEvents } from '@glulam/trainer';
import { tap } from 'rxjs';
import { encodeEvent, type TensorBoardEvent } from './encode-event.js';
import { frameRecord } from './record.js';

/** Write a run's scalars as event files into `folder`, relative to the run folder; returns how to end. */
export function reportToTensorBoard(events: RunEvents, folder: string): () => void {
  let file: ReportFile | undefined;
  const write = (time: number, step: number, content: TensorBoardEvent['content']): void =>
    file?.append(frameRecord(encodeEvent({ wallTime: time / 1000, step, content })));

  const report = (event: RunEvent): void => {
    const { type, time } = event;
    if (type === 'run.started') {
      const to = reportPlace(event.folder, folder);
      file ??= openReportFile(path.join(to, nameOf(to, time)));
      write(time, 0, { fileVersion: 'brain.Event:2' });
      // Steps behind the checkpoint are told again; an evaluation of its own step, or before the first, stands.
      write(time, (event.resumedFrom ?? 0) + 1, 'session start');
    } else if (type === 'step.finished') {
      const { step, loss, gradientNorm, learningRate, tokensPerSecond } = event;
      const scalars = {
        'train/loss': loss,
        'train/gradient_norm': gradientNorm,
        'train/learning_rate': learningRate,
        'train/tokens_per_second': tokensPerSecond,
      };
      write(time, step, { scalars });
    } else if (type === 'evaluation.finished') {
      const scores = Object.entries(event.scores).map(([score, value]) => [`${event.evaluator}/${score}`, value]);
      write(time, event.step, { scalars: Object.fromEntries(scores) as Record<string, number> });
    }
  };
  const subscription = events.listen('@glulam/reporter-tensorboard', (stream) => stream.pipe(tap(report)));
  return () => {
    subscription.unsubscribe();
    file?.close();
  };
}

/**
 * TensorBoard takes names with `tfevents` in them and reads a folder's files in the order of their names, so a run that
 * is resumed within the second, or after the clock was set back, is named behind what is there.
 */
function nameOf(folder: string, time: number): string {
  const isThere = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  const taken = (isThere ? readdirSync(folder) : []).flatMap((name) => {
    const second = /^events\.out\.tfevents\.(\d{10})\./.exec(name)?.[1];
    return second === undefined ? [] : [Number(second) + 1];
  });
  const second = Math.max(Math.floor(time / 1000), ...taken);
  return `events.out.tfevents.${String(second).padStart(10, '0')}.${hostname()}.${process.pid}`;
}
