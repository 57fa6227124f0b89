import { tap } from 'rxjs';
import type { RunConfig } from '../config/config.js';
import type { RunEvent, RunEvents } from '../events/events.js';

interface ScoreWatch {
  /** The best of all evaluations so far, whether a checkpoint of it is there or not. */
  best(): { readonly step: number; readonly value: number } | undefined;
  close(): void;
}

/** What a watched score is called: `loss`, or the evaluator and the score. */
export const watchedName = ({ evaluator, score }: { readonly evaluator: string; readonly score: string }): string =>
  evaluator === score ? score : `${evaluator} ${score}`;

/**
 * Best-checkpoint keeping and early stopping, as a listener: of each evaluation it looks at the watched score, asks for
 * the best to be kept, and for a stop after `patience` evaluations in a row that were no better. `recorded` are the
 * events of earlier sittings, up to the step that the run goes on from. Step 0, the untrained model, does not count.
 */
export function watchScores(
  events: RunEvents,
  { watch, patience }: RunConfig['evaluate'],
  recorded: readonly RunEvent[],
): ScoreWatch {
  let best: { readonly step: number; readonly value: number } | undefined;
  let waited = 0;
  /** Whether the event is of a new best score. */
  const look = (event: RunEvent): boolean => {
    if (event.type !== 'evaluation.finished' || event.evaluator !== watch.evaluator || event.step === 0) return false;
    const value = event.scores[watch.score];
    if (value === undefined) return false;
    // One that is not finite is no better than any.
    const better =
      Number.isFinite(value) &&
      (best === undefined || (watch.better === 'lower' ? value < best.value : value > best.value));
    if (better) best = { step: event.step, value };
    waited = better ? 0 : waited + 1;
    return better;
  };
  const stopWhenEnough = (): void => {
    if (patience === 0 || waited < patience) return;
    const score = `${watch.evaluator}.${watch.score}`;
    const than = best === undefined ? 'and none was finite' : `than ${best.value} at step ${best.step}`;
    events.request('stop', `${waited} evaluations in a row brought no better ${score} ${than}`);
  };
  // What was told again after a kill is the same; each evaluation counts once.
  const evaluations = new Map<string, RunEvent>();
  for (const event of recorded)
    if (event.type === 'evaluation.finished') evaluations.set(`${event.step} ${event.evaluator}`, event);
  for (const event of evaluations.values()) look(event);
  stopWhenEnough();
  const subscription = events.listen('score watch', (stream) =>
    stream.pipe(
      tap((event) => {
        if (event.type !== 'evaluation.finished') return;
        if (look(event)) events.request('keep best');
        stopWhenEnough();
      }),
    ),
  );
  return { best: () => best, close: () => subscription.unsubscribe() };
}
