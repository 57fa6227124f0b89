import type { Chart } from '@glulam/trainer';
import { signed } from '../report/signed.js';
import { howBad, type Ranking } from './rank-maps.js';

/** A cell for each map that lays the layers i to j - 1 out twice, coloured by how much worse than the base it is. */
export function repeatsChart({ maps, base, physicalLayers, measure }: Ranking): Chart {
  const values = maps.flatMap(({ repeat, score }) =>
    repeat === undefined || !Number.isFinite(score)
      ? []
      : [{ i: repeat.i, j: repeat.j, difference: score - base.score, text: inCell(score - base.score) }],
  );
  const size = Math.max(8, Math.min(52, 640 / physicalLayers));
  const losses = values.map(({ difference }) => howBad(difference, measure)).sort((a, b) => a - b);
  // The worst maps are many times as bad as the good ones, which would then all look alike.
  const most = Math.max(losses[Math.floor(losses.length / 2)]!, -losses[0]!, 1e-6);
  const numbers = (first: number): number[] => Array.from({ length: physicalLayers }, (_, index) => first + index);
  const labels = (first: number): number[] => numbers(first).filter((each) => physicalLayers <= 16 || each % 4 === 0);
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: { step: size },
    height: { step: size },
    data: { values },
    encoding: {
      x: {
        field: 'j',
        type: 'ordinal',
        title: 'j: the first layer that is not repeated any more',
        scale: { domain: numbers(1) },
        axis: { values: labels(1), labelAngle: 0, grid: false },
      },
      y: {
        field: 'i',
        type: 'ordinal',
        title: 'i: the first layer that is laid out twice',
        scale: { domain: numbers(0) },
        axis: { values: labels(0), grid: false },
      },
    },
    layer: [
      {
        mark: 'rect',
        encoding: {
          color: {
            field: 'difference',
            type: 'quantitative',
            // From blue, better than the base, by white to orange; what is worse than the end of the scale is as dark as it.
            scale: {
              domain: [-most, 0, most],
              range: measure.better === 'lower' ? colours : colours.toReversed(),
              clamp: true,
            },
            legend: { title: [measure.name, 'less the base’s'], titleLimit: 320, gradientLength: 200, format: '+.2~f' },
          },
        },
      },
      ...(physicalLayers > 16
        ? []
        : [
            {
              mark: { type: 'text' as const, fontSize: Math.min(11, size / 4) },
              encoding: { text: { field: 'text', type: 'nominal' as const } },
            },
          ]),
    ],
  };
}

const colours = ['#0072b2', '#f7f7f7', '#d55e00'];

/** As many digits as a cell has room for. */
const inCell = (value: number): string => signed(value, Math.abs(value) < 10 ? 3 : 1);
