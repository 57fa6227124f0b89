import { drawChart } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { scalingChart } from './scaling-charts.mjs';
import { scalingPoints, series } from './scaling-points.mjs';

test('a chart has a mark for each figure, with its axes and lines named', async () => {
  const points = scalingPoints().map((point) => ({
    ...point,
    tokensPerSecond: 100,
    modelled: 110,
    measured: 3e8,
    planned: 2.9e8,
  }));
  for (const [name, { title, values }] of Object.entries(series)) {
    const svg = await drawChart(scalingChart(name as keyof typeof series, points));
    for (const text of ['tokens a second', 'peak memory, MB', 'measured', 'predicted', title])
      expect(svg).toContain(`>${text}</text>`);
    for (const value of values)
      expect(svg.split(`>${value}</text>`).length - 1, String(value)).toBeGreaterThanOrEqual(2);
    expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(4);
    expect(svg.match(/aria-roledescription="point"/g)).toHaveLength(4 * values.length);
    expect(svg).toContain('peak memory, MB: 290; kind: predicted');
  }
});
