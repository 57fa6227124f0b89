import { stepReaching, type Watch } from '../results/best.js';
import type { Outcome } from '../results/outcomes.js';
import { bestBySeed, finalBySeed, scoreLabel, scoresOf, watchKey } from '../results/scores.js';
import { estimate, pairedDifference, type Difference } from '../results/statistics.js';
import { signed } from './signed.js';

/** What the ablation shows, in sentences: the best of the trained variants against each other one, by every score. */
export function findings(outcomes: readonly Outcome[], watch: Watch): string[] {
  const label = scoreLabel(watchKey(watch));
  const sign = watch.better === 'lower' ? 1 : -1;
  const [leader, ...others] = outcomes
    .filter(({ isTrained }) => isTrained)
    .flatMap((outcome) => {
      const best = estimate([...bestBySeed(outcome).values()]);
      return best === undefined ? [] : [{ outcome, mean: best.mean }];
    })
    .sort((a, b) => sign * (a.mean - b.mean))
    .map(({ outcome }) => outcome);
  if (leader === undefined) return [];
  return others.flatMap((other) => [
    `${quoted(leader)} won against ${quoted(other)} by its best ${label}: ${compare(leader, other, bestBySeed)}`,
    ...scoresOf(outcomes, watch).flatMap(({ key, label: name }) => {
      const compared = compare(leader, other, (outcome) => finalBySeed(outcome, key));
      return compared === undefined ? [] : [`At the end, ${name}: ${compared}`];
    }),
    `The other's best ${label} is reached by ${quoted(leader)} ${describeReach(leader, other, watch)}, by ${quoted(other)} ${describeReach(other, leader, watch)}.`,
  ]);
}

/** `1.2345 against 1.2468, a difference of ...`; undefined where they have no seed in common. */
function compare(a: Outcome, b: Outcome, valuesOf: (outcome: Outcome) => Map<number, number>): string | undefined {
  const [ofA, ofB] = [valuesOf(a), valuesOf(b)];
  const difference = pairedDifference(ofA, ofB);
  if (difference === undefined) return undefined;
  const [first, second] = [ofA, ofB].map((values) => estimate([...values.values()])!.mean.toFixed(4));
  return `${first} against ${second}, ${describeDifference(difference)}`;
}

/** `a difference of -0.0123 ± 0.0034, 3.6 standard errors over 3 seeds, ...` */
function describeDifference({ mean, error, inErrors, chance, count }: Difference): string {
  if (error === undefined)
    return `a difference of ${signed(mean)} with one seed: how much of it is chance is not known.`;
  const size = `a difference of ${signed(mean)} ± ${error.toFixed(4)}`;
  if (inErrors === undefined || chance === undefined) return `${size}, the same with each of ${count} seeds.`;
  const verdict =
    inErrors > chance
      ? `more than the ${chance.toFixed(1)} that chance alone exceeds once in 20 times`
      : `within the ${chance.toFixed(1)} that chance alone exceeds once in 20 times: neither is shown to be better`;
  return `${size}, which is ${inErrors.toFixed(1)} standard errors over ${count} seeds, ${verdict}.`;
}

/** When one variant is as good as another's best: `at step 80`, `with 2 of 3 seeds, at step 90 on average`, `never`. */
export function describeReach(from: Outcome, to: Outcome, watch: Watch): string {
  const goals = bestBySeed(to);
  const reached = from.runs.flatMap(({ seed, scores }) => {
    const goal = goals.get(seed);
    return goal === undefined ? [] : [stepReaching(scores.get(watchKey(watch)) ?? [], goal, watch.better)];
  });
  const steps = reached.filter((step) => step !== undefined);
  const mean = estimate(steps)?.mean;
  if (mean === undefined) return reached.length > 1 ? `with none of ${reached.length} seeds` : 'never';
  const at = steps.length === 1 ? `at step ${mean}` : `at step ${Math.round(mean)} on average`;
  return reached.length > 1 ? `with ${steps.length} of ${reached.length} seeds, ${at}` : at;
}

const quoted = ({ variant }: Outcome): string => `“${variant.name}”`;
