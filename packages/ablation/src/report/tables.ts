import { formatBytes } from '@glulam/trainer';
import type { Watch } from '../results/best.js';
import type { Outcome, RunOutcome } from '../results/outcomes.js';
import { bestBySeed, finalBySeed, scoreLabel, scoresOf, trainLossBySeed, watchKey } from '../results/scores.js';
import { estimate } from '../results/statistics.js';
import type { Block } from './blocks.js';
import { describeReach } from './findings.js';

const nothing = '–';

export function scoresTable(outcomes: readonly Outcome[], watch: Watch): Block {
  const scores = scoresOf(outcomes, watch);
  const hasSeeds = outcomes.some(({ runs }) => runs.length > 1);
  return {
    kind: 'table',
    head: [
      'variant',
      ...(hasSeeds ? ['seeds'] : []),
      'training loss',
      `best ${scoreLabel(watchKey(watch))}`,
      'at step',
      ...scores.map(({ label }) => label),
    ],
    rows: outcomes.map((outcome) => [
      outcome.variant.name,
      ...(hasSeeds ? [String(outcome.runs.length)] : []),
      withError([...trainLossBySeed(outcome).values()]),
      outcome.isTrained ? withError([...bestBySeed(outcome).values()]) : nothing,
      outcome.isTrained
        ? meanOf(
            outcome.runs.flatMap(({ best }) => best?.step ?? []),
            (step) => step.toFixed(0),
          )
        : nothing,
      ...scores.map(({ key }) => withError([...finalBySeed(outcome, key).values()], sampleErrors(outcome.runs, key))),
    ]),
  };
}

/** Row reaches column's best; undefined where there are no two to compare. */
export function reachTable(outcomes: readonly Outcome[], watch: Watch): Block | undefined {
  const trained = outcomes.filter(({ isTrained }) => isTrained);
  if (trained.length < 2) return undefined;
  return {
    kind: 'table',
    head: ['variant', ...trained.map(({ variant }) => `best of ${variant.name}`)],
    rows: trained.map((from) => [
      from.variant.name,
      ...trained.map((to) => (from === to ? nothing : describeReach(from, to, watch))),
    ]),
  };
}

export function sizesTable(outcomes: readonly Outcome[]): Block {
  return {
    kind: 'table',
    head: [
      'variant',
      'layers',
      'effective parameters',
      'trained',
      'memory, planned',
      'memory of the process',
      'time a step',
    ],
    rows: outcomes.map(({ variant, runs }) => {
      const { layers, physicalLayers, parameters, bytes } = variant.plan;
      const peak = runs.flatMap(({ peakBytes }) => peakBytes ?? []);
      return [
        variant.name,
        layers.length === physicalLayers ? String(physicalLayers) : `${physicalLayers} as ${layers.length}`,
        parameters.effective.toLocaleString('en-US'),
        parameters.trainable.toLocaleString('en-US'),
        formatBytes(bytes.peak - bytes.process),
        peak.length === 0 ? nothing : formatBytes(Math.max(...peak)),
        meanOf(
          runs.flatMap(({ secondsPerStep }) => secondsPerStep ?? []),
          formatSeconds,
        ),
      ];
    }),
  };
}

/** Errors over samples say how well the evaluator knows one model; a mean of them where there are several. */
function sampleErrors(runs: readonly RunOutcome[], key: string): number | undefined {
  return estimate(runs.flatMap(({ sampleErrors: errors }) => errors.get(key) ?? []))?.mean;
}

/** `1.2345 ± 0.0012`: over seeds; of one seed, or besides, over samples in brackets. */
function withError(values: readonly number[], overSamples?: number): string {
  const whole = estimate(values);
  if (whole === undefined) return nothing;
  const seeds = whole.error === undefined ? '' : ` ± ${whole.error.toFixed(4)}`;
  const samples = overSamples === undefined ? '' : ` (± ${overSamples.toFixed(4)})`;
  return `${whole.mean.toFixed(4)}${seeds}${samples}`;
}

function meanOf(values: readonly number[], format: (value: number) => string): string {
  const whole = estimate(values);
  return whole === undefined ? nothing : format(whole.mean);
}

const formatSeconds = (seconds: number): string =>
  seconds >= 1 ? `${seconds.toFixed(2)} s` : `${(1000 * seconds).toFixed(0)} ms`;
