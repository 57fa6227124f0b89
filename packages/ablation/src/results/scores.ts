import type { Watch } from './best.js';
import type { Outcome, RunOutcome } from './outcomes.js';

/** One score of the ablation's variants. */
interface Score {
  /** By evaluator and name: `loss.loss`. */
  readonly key: string;
  /** For people: `held-out loss`, `gsm8k strict`. */
  readonly label: string;
}

export const watchKey = ({ evaluator, score }: Watch): string => `${evaluator}.${score}`;

export const scoreLabel = (key: string): string => {
  if (key === 'loss.loss') return 'held-out loss';
  const [evaluator, ...name] = key.split('.');
  return name.join('.') === evaluator ? evaluator : `${evaluator} ${name.join('.')}`;
};

/** All scores that variants are compared by, the watched one first. Counts and what says the same as the loss are none. */
export function scoresOf(outcomes: readonly Outcome[], watch: Watch): Score[] {
  const runs = outcomes.flatMap((each) => each.runs);
  const keys = new Set([watchKey(watch), ...runs.flatMap(({ scores }) => [...scores.keys()])]);
  const isCount = (key: string): boolean =>
    runs.every(
      ({ scores, sampleErrors }) =>
        !sampleErrors.has(key) && (scores.get(key) ?? []).every(({ value }) => Number.isInteger(value) && value > 1),
    );
  return [...keys]
    .filter((key) => key === watchKey(watch) || (key !== 'loss.perplexity' && !isCount(key)))
    .map((key) => ({ key, label: scoreLabel(key) }));
}

/** A score at the end of each run, by seed. */
export const finalBySeed = (outcome: Outcome, key: string): Map<number, number> =>
  bySeed(outcome, ({ scores }) => scores.get(key)?.at(-1)?.value);

export const bestBySeed = (outcome: Outcome): Map<number, number> => bySeed(outcome, ({ best }) => best?.value);

/** The mean training loss of each run's last tenth. */
export const trainLossBySeed = (outcome: Outcome): Map<number, number> =>
  bySeed(outcome, ({ losses }) => {
    const last = losses.slice(-Math.ceil(losses.length / 10));
    return last.length === 0 ? undefined : last.reduce((sum, { value }) => sum + value, 0) / last.length;
  });

function bySeed({ runs }: Outcome, valueOf: (run: RunOutcome) => number | undefined): Map<number, number> {
  return new Map(
    runs.flatMap((run) => {
      const value = valueOf(run);
      return value === undefined ? [] : [[run.seed, value] as const];
    }),
  );
}
