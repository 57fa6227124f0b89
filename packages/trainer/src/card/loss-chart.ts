import { palette, type Chart } from '../charts/draw-chart.js';

/** A point of a curve: a step and its loss. */
interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

const width = 560;

/** The losses of a run's steps as a line, with those of held-out data as dots where there are any. */
export function lossChart(train: readonly LossPoint[], heldOut: readonly LossPoint[]): Chart {
  const names = ['training', ...(heldOut.length > 0 ? ['held out'] : [])];
  const isOne = new Set([...train, ...heldOut].map(({ loss }) => loss)).size === 1;
  const encoding = {
    x: { field: 'step', type: 'quantitative', title: 'step', scale: { zero: true }, axis: { tickMinStep: 1 } },
    // One loss alone spans no axis: then it begins at 0.
    y: { field: 'loss', type: 'quantitative', title: 'loss', scale: { zero: isOne }, axis: { tickCount: 6 } },
    color: {
      field: 'data',
      type: 'nominal',
      scale: { domain: names, range: palette.slice(0, names.length) },
      legend: { orient: 'top', title: null, symbolType: 'square', symbolOpacity: 1 },
    },
  } as const;
  const valuesOf = (data: string, points: readonly LossPoint[]): object[] =>
    points.map(({ step, loss }) => ({ data, step, loss }));
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    description: 'losses by step',
    width,
    height: 220,
    layer: [
      {
        data: { values: valuesOf('training', thin(train)) },
        mark: { type: 'line', strokeWidth: 1.5, point: train.length === 1 },
        encoding,
      },
      {
        data: { values: valuesOf('held out', heldOut) },
        mark: { type: 'point', filled: true, size: 40, opacity: 1 },
        encoding,
      },
    ],
  };
}

/** Means of neighbours, where there are more points than pixels. */
function thin(points: readonly LossPoint[]): LossPoint[] {
  const size = Math.ceil(points.length / width);
  if (size <= 1) return [...points];
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const group = points.slice(i * size, (i + 1) * size);
    const mean = (of: (point: LossPoint) => number): number =>
      group.reduce((sum, point) => sum + of(point), 0) / group.length;
    return { step: mean(({ step }) => step), loss: mean(({ loss }) => loss) };
  });
}
