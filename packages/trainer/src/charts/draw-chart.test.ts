import { expect, test } from 'vitest';
import { drawChart, type Chart } from './draw-chart.js';

const chart = (name: string): Chart => ({
  data: { values: [{ name, value: 1 }] },
  mark: 'rect',
  encoding: { x: { field: 'name', type: 'nominal' }, color: { field: 'value', type: 'quantitative' } },
});

test('the same chart is the same text, whatever was drawn before', async () => {
  const first = await drawChart(chart('a'));
  await drawChart(chart('b'));
  expect(await drawChart(chart('a'))).toBe(first);
  expect(first).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
});

test('names are text, be they tags or control characters', async () => {
  const svg = await drawChart(chart('<script>&"\u202e'));
  expect(svg).toContain('>&lt;script&gt;&amp;"\\u202e</text>');
  expect(svg).not.toMatch(/<script|\u202e/);
});

test('white is drawn unless the chart has another background', async () => {
  expect(await drawChart(chart('a'))).toContain('" fill="#ffffff"/><g');
  expect(await drawChart({ ...chart('a'), config: { background: 'transparent' } })).not.toContain('#ffffff');
});
