import {
  formatBytes,
  sumReports,
  visibleLine,
  visibleText,
  type DataReport,
  type RunEvent,
  type RunEvents,
  type ScoredStep,
} from '@glulam/trainer';
import { tap } from 'rxjs';
import { formatCount, formatDuration, formatProgress } from './format.js';

/** Where it writes: a terminal gets a bar that is drawn again in place, anything else a line now and then. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Of more files of one use only the sum is told. */
const mostFiles = 10;

function placeOf({ among }: Extract<RunEvent, { type: 'data.reading' }>): string {
  return among === undefined ? '' : `file ${formatCount(among.number)} of ${formatCount(among.of)}, `;
}

/** Print a run's progress: loss, tokens a second, time left; `quiet`: without its steps. Returns how to end. */
export function reportToConsole(events: RunEvents, output: Output, quiet = false): () => void {
  const terminal = output.isTTY === true;
  let begun: { readonly time: number; readonly step: number } | undefined;
  let drawn = false;
  let smoothedLoss: number | undefined;
  let waitingTold = -Infinity;

  // Names, warnings and scores come from anybody.
  const line = (text: string): void => {
    output.write(`${drawn ? '\r\u001b[K' : ''}${visibleText(text)}\n`);
    drawn = false;
  };
  /** Leave the bar as it is, and go on below it. */
  const endBar = (): void => {
    if (drawn) output.write('\n');
    drawn = false;
  };
  const progress = (event: Extract<RunEvent, { type: 'step.finished' }>): void => {
    if (quiet) return;
    const { step, steps, loss, tokensPerSecond, time } = event;
    // The first step of this sitting is left out of the estimate: it also loads and warms.
    begun ??= { time, step };
    const left = step > begun.step ? ((time - begun.time) / 1000 / (step - begun.step)) * (steps - step) : undefined;
    smoothedLoss = smoothedLoss === undefined ? loss : 0.9 * smoothedLoss + 0.1 * loss;
    const shown = {
      figures: `step ${step}/${steps}  loss ${smoothedLoss.toFixed(4)}`,
      speed: `${formatCount(Math.round(tokensPerSecond))} tokens/s`,
      left: left === undefined || step === steps ? undefined : formatDuration(left),
    };
    if (!terminal) {
      const isTold = step === begun.step || step === steps || step % Math.max(1, Math.ceil(steps / 10)) === 0;
      if (isTold) line(formatProgress(shown));
      return;
    }
    // A character that reaches the last column may move the cursor to the next line, where it is not drawn over.
    output.write(`\r\u001b[K${formatProgress({ ...shown, share: step / steps }, (output.columns || 80) - 1)}`);
    drawn = true;
    if (step === steps) endBar();
  };
  const data = ({ use, file, rows, examples, tokens, skipped, notes }: DataReport): void => {
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
  let reports: DataReport[] = [];
  /** Of a few files all is told, of many what they come to. */
  const tellData = (): void => {
    const told = reports;
    reports = [];
    for (const use of ['train', 'heldOut'] as const) {
      const files = told.filter((each) => each.use === use);
      if (files.length <= mostFiles) files.forEach(data);
      else {
        data({
          ...sumReports(files),
          file: `of ${formatCount(files.length)} files (${files[0]!.file} ... ${files.at(-1)!.file})`,
        });
        line(`  each of these files is in the run folder's events.jsonl`);
      }
    }
  };
  /** The last step and the best, with their scores, and which of them the adapter folder holds. */
  const saved = ({ step, folder, last, best, watched }: Extract<RunEvent, { type: 'adapter.saved' }>): void => {
    const isBest = best !== undefined;
    const of = ({ step: at, value }: ScoredStep): string =>
      `step ${formatCount(at)}${typeof value === 'number' ? `, ${watched} ${value.toFixed(4)}` : isBest ? ', not scored' : ''}`;
    if (last !== undefined)
      line(`last: ${of(last)}${isBest ? (best.step === last.step ? '; it is the best' : `; best: ${of(best)}`) : ''}`);
    const which = isBest ? ', the best' : step === last?.step ? ', the last' : '';
    line(`adapter saved in ${folder}: that of step ${formatCount(step)}${which}`);
  };
  /** Something takes long before the run begins. */
  const waiting = (time: number, text: string): void => {
    if (quiet) return;
    if (terminal) {
      output.write(`\r\u001b[K${visibleLine(text).slice(-((output.columns || 80) - 1))}`);
      drawn = true;
    } else if (time - waitingTold >= 30_000) {
      line(text);
      waitingTold = time;
    }
  };
  const report = (event: RunEvent): void => {
    if (event.type !== 'data.read' && reports.length > 0) tellData();
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
        // Where a score has the evaluator's own name, that says it.
        const name = event.evaluator in event.scores ? '' : `${event.evaluator} `;
        line(`${name}${event.step === 0 ? 'before training' : `after step ${event.step}`}: ${scores.join(', ')}`);
        break;
      }
      case 'data.reading':
        waiting(event.time, `${placeOf(event)}${event.file}: ${formatCount(event.rows)} rows read`);
        break;
      case 'evaluation.running':
        waiting(event.time, `${event.evaluator}: ${formatCount(event.done)} of ${formatCount(event.total)} scored`);
        break;
      case 'input.fetching': {
        const { name, bytes, totalBytes, time } = event;
        const text = `${name}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)} here`;
        if (bytes === totalBytes) {
          line(text);
          waitingTold = -Infinity;
        } else waiting(time, text);
        break;
      }
      case 'data.read':
        reports.push(event);
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
        saved(event);
        break;
      case 'run.finished':
        line(`finished in ${formatDuration(event.seconds)}`);
        break;
      case 'run.failed':
        // The caller gets the error and prints it; here only the bar is ended.
        endBar();
        break;
      // What comes between runs is for the command that makes them.
      case 'ablation.started':
      case 'variant.started':
      case 'variant.finished':
      case 'ablation.finished':
      case 'search.started':
      case 'map.scored':
      case 'search.finished':
      case 'plugin':
        break;
    }
  };
  const subscription = events.listen('@glulam/reporter-console', (stream) => stream.pipe(tap(report)));
  return () => {
    subscription.unsubscribe();
    if (reports.length > 0) tellData();
    endBar();
  };
}
