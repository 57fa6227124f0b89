import { drawChart, palette } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { fourRows, madeOutcome } from '../../test/made-outcomes.js';
import { curvesChart } from './curves-chart.js';
import { layersChart } from './layers-chart.js';

test('the curves of all variants in one chart, each in its colour', async () => {
  const svg = await drawChart(curvesChart(fourRows(), 'loss.loss', 'loss', true));
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(svg).not.toMatch(/NaN|href|<script/);
  for (const [index, { variant }] of fourRows().entries()) {
    expect(svg).toContain(`>${variant.name}</text>`);
    expect(svg).toMatch(new RegExp(`(stroke|fill)="${palette[index]!}"`));
  }
  // Two trained variants, each a thin curve and a thick one; two rules.
  expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(4);
  expect(svg.match(/aria-roledescription="rule mark"/g)).toHaveLength(2);
});

test('training losses are averaged over seeds and neighbouring steps', () => {
  const flat = Array.from({ length: 31 }, () => 1);
  const trained = madeOutcome({ name: 'a', losses: [flat, flat] });
  const [training] = (
    curvesChart([trained], 'loss.loss', 'loss', true) as {
      layer: { data: { values: { step: number; value: number }[] } }[];
    }
  ).layer;
  expect(training!.data.values).toHaveLength(60);
  // 300 steps falling from 3 by 1/300 each: the mean of the first five.
  expect(training!.data.values[0]).toMatchObject({ step: 3, value: expect.closeTo(3 - 2 / 300, 12) });
  expect(curvesChart([trained], 'loss.loss', 'loss', false)).toMatchObject({
    layer: [{ data: { values: [] } }, {}, {}, {}],
  });
});

test('every layer map once, a cell a virtual layer', async () => {
  const svg = await drawChart(layersChart(fourRows()));
  expect(svg).toContain('>base, base + lora r=12</text>');
  expect(svg).toContain('>4 layers as 6: [[0,3],[1,4]]</text>');
  expect(svg.match(/aria-roledescription="rect mark"/g)).toHaveLength(4 + 6);
  expect(svg).toContain('>use 2</text>');
});
