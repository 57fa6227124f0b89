import { expect, test } from 'vitest';
import { layerMap, pointsOf, scalingPoints, series } from './scaling-points.mjs';

test('each point is measured once, and every series finds its own', () => {
  const points = scalingPoints();
  expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(points.length);
  for (const [name, { values }] of Object.entries(series)) {
    const found = pointsOf(name, points) as unknown as Record<string, number>[];
    expect(found.map((point) => point[name])).toEqual(values);
  }
});

test('maps give as many virtual layers as are asked for, and visit each physical one', () => {
  for (const layers of series.layers.values) {
    const visits = layerMap(8, layers).flatMap(([start, end]) =>
      Array.from({ length: end - start }, (_, i) => start + i),
    );
    expect(visits).toHaveLength(layers);
    expect(new Set(visits).size).toBe(8);
  }
  expect(() => layerMap(8, 13)).toThrow('no map of 8 layers as 13');
});
