import type { RunEvent, RunEvents } from '@glulam/trainer';
import { tap } from 'rxjs';
import { formatBar, formatCount, formatDuration } from './format.js';

/** Where it writes: a terminal gets a bar that is drawn again in place, anything else a line now and then. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Print a run's progress: loss, tokens a second, time left. Returns how to end. */
export function reportToConsole(events: RunEvents, output: Output): () => void {
  const terminal = output.isTTY === true;
  let begun = 0;
  let drawn = false;
  let smoothedLoss: number | undefined;

  const line = (text: string): void => {
    output.write(`${drawn ? '\r\u001b[K' : ''}${text}\n`);
    drawn = false;
  };
  const progress = (event: Extract<RunEvent, { type: 'step.finished' }>): void => {
    const { step, steps, loss, tokensPerSecond, time } = event;
    if (step === 1) begun = time;
    // The first step is left out of the estimate: it also loads and warms.
    const left = step > 1 ? ((time - begun) / 1000 / (step - 1)) * (steps - step) : undefined;
    smoothedLoss = smoothedLoss === undefined ? loss : 0.9 * smoothedLoss + 0.1 * loss;
    const figures = `step ${step}/${steps}  loss ${smoothedLoss.toFixed(4)}  ${formatCount(Math.round(tokensPerSecond))} tokens/s`;
    const rest = left === undefined ? '' : `  ${formatDuration(left)} left`;
    if (terminal) {
      const room = Math.max(0, Math.min(24, (output.columns ?? 80) - figures.length - rest.length - 2));
      output.write(`\r\u001b[K${room > 4 ? `${formatBar(step / steps, room)} ` : ''}${figures}${rest}`);
      drawn = true;
      if (step === steps) line(`${formatBar(1, Math.max(0, Math.min(24, room)))} ${figures}`);
    } else if (step === 1 || step === steps || step % Math.max(1, Math.ceil(steps / 10)) === 0) {
      line(`${figures}${rest}`);
    }
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
