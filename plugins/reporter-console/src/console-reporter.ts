import type { RunEvent, RunEvents } from '@glulam/trainer';
import { tap } from 'rxjs';
import { formatBar, formatCount, formatDuration } from './format.js';

/** Where it writes: a terminal gets a bar that is drawn again in place, anything else a line now and then. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Print a run's progress: loss, tokens a second, time left; no steps where a log is `quiet`. Returns how to end. */
export function reportToConsole(events: RunEvents, output: Output, quiet = false): () => void {
  const terminal = output.isTTY === true;
  let begun: { readonly time: number; readonly step: number } | undefined;
  let drawn = false;
  let smoothedLoss: number | undefined;

  const line = (text: string): void => {
    output.write(`${drawn ? '\r\u001b[K' : ''}${text}\n`);
    drawn = false;
  };
  const progress = (event: Extract<RunEvent, { type: 'step.finished' }>): void => {
    const { step, steps, loss, tokensPerSecond, time } = event;
    // The first step of this sitting is left out of the estimate: it also loads and warms.
    begun ??= { time, step };
    const left = step > begun.step ? ((time - begun.time) / 1000 / (step - begun.step)) * (steps - step) : undefined;
    smoothedLoss = smoothedLoss === undefined ? loss : 0.9 * smoothedLoss + 0.1 * loss;
    const figures = `step ${step}/${steps}  loss ${smoothedLoss.toFixed(4)}  ${formatCount(Math.round(tokensPerSecond))} tokens/s`;
    const rest = left === undefined ? '' : `  ${formatDuration(left)} left`;
    if (terminal) {
      const room = Math.max(0, Math.min(24, (output.columns ?? 80) - figures.length - rest.length - 2));
      output.write(`\r\u001b[K${room > 4 ? `${formatBar(step / steps, room)} ` : ''}${figures}${rest}`);
      drawn = true;
      if (step === steps) line(`${formatBar(1, Math.max(0, Math.min(24, room)))} ${figures}`);
    } else if (!quiet && (step === begun.step || step === steps || step % Math.max(1, Math.ceil(steps / 10)) === 0)) {
      line(`${figures}${rest}`);
    }
  };
  const data = ({
    use,
    file,
    rows,
    examples,
    tokens,
    skipped,
    notes,
  }: Extract<RunEvent, { type: 'data.read' }>): void => {
    const left = skipped.reduce((sum, { count }) => sum + count, 0);
    line(
      `${use === 'train' ? 'training' : 'held-out'} data ${file}: ${formatCount(rows)} rows, ${formatCount(examples)} examples, ${formatCount(tokens)} tokens`,
    );
    if (left > 0)
      line(
        `warning: ${formatCount(left)} of its rows are left out: ${skipped.map(({ reason, count }) => `${reason} (${formatCount(count)})`).join(', ')}`,
      );
    for (const { note, count } of notes) line(`  ${note} (${formatCount(count)} rows)`);
  };
  const report = (event: RunEvent): void => {
    switch (event.type) {
      case 'run.started':
        line(
          `${event.physicalLayers} physical layers as ${event.virtualLayers} virtual layers, ${formatCount(event.trainableParameters)} trainable parameters`,
        );
        line(
          `engine ${event.engine}; ${formatCount(event.examples)} examples, ${event.steps} steps; run folder ${event.folder}`,
        );
        if (event.resumedFrom !== undefined) line(`going on from the checkpoint of step ${event.resumedFrom}`);
        break;
      case 'step.finished':
        progress(event);
        break;
      case 'evaluation.finished': {
        const scores = Object.entries(event.scores).map(
          ([name, score]) => `${name} ${Number.isInteger(score) ? formatCount(score) : score.toFixed(4)}`,
        );
        line(`${event.step === 0 ? 'before training' : `after step ${event.step}`}: held-out ${scores.join(', ')}`);
        break;
      }
      case 'data.read':
        data(event);
        break;
      case 'checkpoint.saved':
        if (event.best) line(`best so far: checkpoint of step ${event.step} kept`);
        break;
      case 'warning':
        line(`warning: ${event.message}`);
        break;
      case 'run.stopped':
        line(`stopped after step ${event.step}: ${event.reason}; the checkpoint is kept, --resume goes on from it`);
        break;
      case 'adapter.saved':
        line(`adapter saved in ${event.folder}`);
        break;
      case 'run.finished':
        line(`finished in ${formatDuration(event.seconds)}`);
        break;
      case 'run.failed':
        // The caller gets the error and prints it; here only the bar is ended.
        if (drawn) line('');
        break;
      case 'plugin':
        break;
    }
  };
  const subscription = events.listen('@glulam/reporter-console', (stream) => stream.pipe(tap(report)));
  return () => subscription.unsubscribe();
}
