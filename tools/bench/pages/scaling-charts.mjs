// Charts of the scaling benchmark.
import { palette } from '@glulam/trainer';
import { pointsOf, series } from './scaling-points.mjs';

const kinds = ['measured', 'predicted'];
const dashes = [
  [1, 0],
  [6, 4],
];

/**
 * Speed and memory of one series, side by side: what was measured, and what the model of cost and the plan predict.
 *
 * @param {keyof typeof series} name
 * @param {(import('./scaling-points.mjs').Point & { tokensPerSecond: number, modelled: number, measured: number, planned: number })[]} points
 * @returns {import('@glulam/trainer').Chart}
 */
export function scalingChart(name, points) {
  const shown = pointsOf(name, points);
  const panels = [
    {
      title: 'tokens a second',
      measured: shown.map(({ tokensPerSecond }) => tokensPerSecond),
      predicted: shown.map(({ modelled }) => modelled),
    },
    {
      title: 'peak memory, MB',
      measured: shown.map(({ measured }) => measured / 1e6),
      predicted: shown.map(({ planned }) => planned / 1e6),
    },
  ];
  const orient = /** @type {const} */ ('top');
  const legend = { title: null, orient, symbolType: 'stroke', symbolSize: 400, symbolStrokeWidth: 2 };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    spacing: 40,
    hconcat: panels.map((panel) => ({
      width: 380,
      height: 240,
      data: {
        values: kinds.flatMap((kind) => shown.map((point, i) => ({ x: point[name], value: panel[kind][i], kind }))),
      },
      mark: { type: 'line', strokeWidth: 2, point: { size: 50, filled: true } },
      encoding: {
        x: { field: 'x', type: 'ordinal', title: series[name].title, axis: { labelAngle: 0 } },
        y: { field: 'value', type: 'quantitative', title: panel.title, axis: { tickCount: 6 } },
        color: { field: 'kind', type: 'nominal', scale: { domain: kinds, range: palette.slice(0, 2) }, legend },
        strokeDash: { field: 'kind', type: 'nominal', scale: { domain: kinds, range: dashes }, legend },
      },
    })),
  };
}
