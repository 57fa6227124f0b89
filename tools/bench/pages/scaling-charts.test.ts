import { expect, test } from 'vitest';
import { scalingChart } from './scaling-charts.mjs';
import { scalingPoints, series } from './scaling-points.mjs';

test('a chart is an SVG with a mark for each figure and what it shows written on it', () => {
  const points = scalingPoints().map((point) => ({
    ...point,
    tokensPerSecond: 100,
    modelled: 110,
    measured: 3e8,
    planned: 2.9e8,
  }));
  for (const [name, { title, values }] of Object.entries(series)) {
    const svg = scalingChart(name as keyof typeof series, points);
    expect(svg).toMatch(/^<svg width="960" height="360"/);
    for (const text of ['tokens a second', 'peak memory, MB', 'measured', 'foretold', title])
      expect(svg).toContain(`>${text}<`);
    for (const value of values) expect(svg.split(`>${value}<`).length - 1, String(value)).toBeGreaterThanOrEqual(2);
  }
});
