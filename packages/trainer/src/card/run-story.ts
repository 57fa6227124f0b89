import type { RunEvent } from '../events/events.js';

type Step = Extract<RunEvent, { type: 'step.finished' }>;
type Evaluation = Extract<RunEvent, { type: 'evaluation.finished' }>;
type DataRead = Extract<RunEvent, { type: 'data.read' }>;

/** What a run's events come to, over all its sittings. */
export interface RunStory {
  /** Each once, in order. */
  readonly steps: readonly Step[];
  /** In order. */
  readonly evaluations: readonly Evaluation[];
  /** Of the last session. */
  readonly data: readonly DataRead[];
  /** Of sittings that were not killed. */
  readonly seconds: number;
  /** Sessions: the first, and one for each resumption. */
  readonly sittings: number;
  /** Sessions that ended without an event that says so. */
  readonly killedSittings: number;
  /** The most memory that no file backs, as far as sittings told. */
  readonly peakBytes: number | undefined;
}

/** The watched score after a step, where it was taken then. */
export function scoreAfter(
  { evaluations }: RunStory,
  watch: { readonly evaluator: string; readonly score: string },
  step: number,
): number | undefined {
  return evaluations.find((each) => each.step === step && each.evaluator === watch.evaluator)?.scores[watch.score];
}

/** A sitting that goes on from a checkpoint takes back what was told behind it. */
export function tellStory(events: readonly RunEvent[]): RunStory {
  const steps = new Map<number, Step>();
  const evaluations = new Map<string, Evaluation>();
  let data: DataRead[] = [];
  let [seconds, sittings, ended] = [0, 0, 0];
  let peakBytes: number | undefined;
  for (const event of events) {
    switch (event.type) {
      case 'run.started': {
        const from = event.resumedFrom ?? 0;
        for (const step of [...steps.keys()]) if (step > from) steps.delete(step);
        for (const [key, { step }] of [...evaluations]) if (step > from) evaluations.delete(key);
        data = [];
        sittings += 1;
        break;
      }
      case 'data.read':
        data.push(event);
        break;
      case 'step.finished':
        steps.set(event.step, event);
        break;
      case 'evaluation.finished':
        evaluations.set(`${event.step} ${event.evaluator}`, event);
        break;
      case 'run.finished':
        seconds += event.seconds;
        ended += 1;
        peakBytes = Math.max(peakBytes ?? 0, event.peakBytes ?? 0) || undefined;
        break;
      default:
        break;
    }
  }
  return {
    steps: [...steps.values()].sort((a, b) => a.step - b.step),
    evaluations: [...evaluations.values()].sort((a, b) => a.step - b.step),
    data,
    seconds,
    sittings,
    killedSittings: Math.max(0, sittings - ended),
    peakBytes,
  };
}
