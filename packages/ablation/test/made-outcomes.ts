import { unexpandedLayers, type VirtualLayer } from '@glulam/model';
import type { Outcome, RunOutcome } from '../src/index.js';
import { bestOf, type Point } from '../src/results/best.js';

export const watch = { evaluator: 'loss', score: 'loss', better: 'lower' } as const;

/** Curves of held-out losses, one a seed, at steps 0, 10, 20, ...; and shares of right answers at the end, if given. */
export interface MadeVariant {
  readonly name: string;
  readonly losses: readonly (readonly number[])[];
  readonly right?: readonly number[];
  readonly layers?: readonly VirtualLayer[];
  readonly trainable?: number;
}

/** What an ablation would have come to, for what is made of it. */
export function madeOutcome({
  name,
  losses,
  right,
  layers = unexpandedLayers(4),
  trainable = 1000,
}: MadeVariant): Outcome {
  const runs = losses.map((values, seed): RunOutcome => {
    const curve = values.map((value, index) => ({ step: 10 * index, value }));
    const last = curve.at(-1)!.step;
    const scores = new Map<string, readonly Point[]>([
      ['loss.loss', curve],
      ['loss.perplexity', curve.map(({ step, value }) => ({ step, value: Math.exp(value) }))],
      ['loss.tokens', curve.map(({ step }) => ({ step, value: 640 }))],
      ...(right === undefined ? [] : [['quiz.accuracy', [{ step: last, value: right[seed]! }]] as const]),
    ]);
    return {
      seed,
      engine: 'made (no engine), float32',
      losses: Array.from({ length: last }, (_, i) => ({ step: i + 1, value: 3 - i / last })),
      scores,
      sampleErrors: new Map(right === undefined ? [] : [['quiz.accuracy', 0.02]]),
      best: bestOf(curve, 'lower'),
      secondsPerStep: last === 0 ? undefined : 0.25,
      peakBytes: 200e6,
    };
  });
  const plan = {
    layers,
    physicalLayers: 4,
    parameters: { stored: 1e4, effective: 2500 * layers.length, trainable },
    bytes: { peak: 3e8, process: 1e8 },
  };
  // Of a variant and its plan only what is reported is there.
  return { variant: { name, plan }, isTrained: trainable > 0, runs } as unknown as Outcome;
}

export const stacked: VirtualLayer[] = [0, 1, 2, 1, 2, 3].map((physical) => ({ physical }));

/** The four rows with three seeds: the expanded one begins worse, is slower, and ends better. */
export const fourRows = (): Outcome[] =>
  [
    { name: 'base', losses: [[2.2]], right: [0.01], trainable: 0 },
    { name: 'expanded base', losses: [[2.4]], right: [0], layers: stacked, trainable: 0 },
    {
      name: 'base + lora r=12',
      losses: [
        [2.2, 1.5, 1.4],
        [2.2, 1.6, 1.45],
        [2.2, 1.55, 1.5],
      ],
      right: [0.1, 0.12, 0.14],
    },
    {
      name: 'expanded + lora r=8',
      losses: [
        [2.4, 1.6, 1.3],
        [2.4, 1.7, 1.34],
        [2.4, 1.7, 1.39],
      ],
      right: [0.12, 0.11, 0.15],
      layers: stacked,
    },
  ].map(madeOutcome);
