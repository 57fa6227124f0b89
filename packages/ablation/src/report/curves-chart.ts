import { palette, type Chart } from '@glulam/trainer';
import type { Point } from '../results/best.js';
import type { Outcome } from '../results/outcomes.js';
import { estimate } from '../results/statistics.js';

/** More points of a training curve than these are noise to the eye. */
const mostPoints = 60;

/**
 * A score of all variants by step, in one chart: means over seeds. With losses (`isLoss`) stand those in training; their
 * axis is logarithmic, since they fall fast at first and are told apart at the end.
 */
export function curvesChart(outcomes: readonly Outcome[], score: string, title: string, isLoss: boolean): Chart {
  const names = outcomes.map(({ variant }) => variant.name);
  const trained = outcomes.filter(({ isTrained }) => isTrained);
  const held = trained.flatMap(({ variant, runs }) =>
    meansByStep(runs.map(({ scores }) => scores.get(score) ?? [])).map(({ step, mean, error = 0 }) => ({
      ...{ variant: variant.name, step, value: mean, low: mean - error, high: mean + error },
    })),
  );
  const training = isLoss
    ? trained.flatMap(({ variant, runs }) =>
        smooth(runs.map(({ losses }) => losses)).map((point) => ({ variant: variant.name, ...point })),
      )
    : [];
  const untrained = outcomes
    .filter(({ isTrained }) => !isTrained)
    .flatMap(({ variant, runs }) => {
      const value = estimate(runs.flatMap(({ scores }) => scores.get(score)?.at(-1)?.value ?? []))?.mean;
      return value === undefined ? [] : [{ variant: variant.name, value }];
    });
  const color = {
    field: 'variant',
    type: 'nominal',
    scale: { domain: names, range: names.map((_, index) => palette[index % palette.length]!) },
    legend: { orient: 'bottom', title: null, columns: 2, symbolType: 'square', symbolOpacity: 1 },
  } as const;
  const x = { field: 'step', type: 'quantitative', title: 'step', axis: { tickMinStep: 1 } } as const;
  const y = {
    type: 'quantitative',
    title,
    scale: isLoss ? ({ type: 'log', nice: false } as const) : { zero: false },
    axis: { tickCount: 8 },
  } as const;
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 720,
    height: 380,
    title: {
      text: `${title}, by step`,
      subtitle: [
        'thick, with points: held out, mean over seeds; its band: one standard error',
        ...(isLoss ? ['thin: in training, smoothed'] : []),
        ...(untrained.length > 0 ? ['dashed: not trained'] : []),
      ],
    },
    layer: [
      {
        data: { values: training },
        mark: { type: 'line', strokeWidth: 1, opacity: 0.55 },
        encoding: { x, y: { ...y, field: 'value' }, color },
      },
      {
        data: { values: held },
        mark: { type: 'area', opacity: 0.15 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        data: { values: held },
        mark: { type: 'line', strokeWidth: 2.5, point: { size: 40 } },
        encoding: { x, y: { ...y, field: 'value' }, color },
      },
      {
        data: { values: untrained },
        mark: { type: 'rule', strokeWidth: 2, strokeDash: [6, 4] },
        encoding: { y: { ...y, field: 'value' }, color },
      },
    ],
  };
}

/** Means and errors over seeds at the steps that any of them has. */
function meansByStep(
  curves: readonly (readonly Point[])[],
): { step: number; mean: number; error: number | undefined }[] {
  const values = new Map<number, number[]>();
  for (const { step, value } of curves.flat()) values.set(step, [...(values.get(step) ?? []), value]);
  return [...values]
    .sort(([a], [b]) => a - b)
    .map(([step, all]) => {
      const { mean, error } = estimate(all)!;
      return { step, mean, error };
    });
}

/** Means over neighbouring steps and all seeds. */
function smooth(curves: readonly (readonly Point[])[]): Point[] {
  const last = curves.flat().reduce((most, { step }) => Math.max(most, step), 0);
  const size = Math.ceil(last / mostPoints);
  const groups = new Map<number, Point[]>();
  for (const point of curves.flat()) {
    const group = Math.ceil(point.step / size);
    groups.set(group, [...(groups.get(group) ?? []), point]);
  }
  const mean = (values: readonly number[]): number => estimate(values)!.mean;
  return [...groups.values()].map((points) => ({
    step: mean(points.map(({ step }) => step)),
    value: mean(points.map(({ value }) => value)),
  }));
}
