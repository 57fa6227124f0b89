import { visibleText } from '@glulam/trainer';
import type { TopLevelSpec } from 'vega-lite';

/** Okabe and Ito's colours, which people of every colour vision tell apart, without those too faint on white. */
export const palette = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

const look = {
  background: '#ffffff',
  font: 'sans-serif',
  axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'normal', gridColor: '#e5e5e5' },
  legend: { labelFontSize: 12, titleFontSize: 12, labelLimit: 400, symbolSize: 120 },
  title: { fontSize: 14, subtitleFontSize: 12, subtitleColor: '#555555', anchor: 'start' },
  view: { stroke: null },
} as const;

/** A Vega-Lite chart as SVG, in which names are text; no browser takes part in it. Loaded when first asked for: training needs no charts. */
export async function drawChart(chart: TopLevelSpec): Promise<string> {
  const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')]);
  const view = new View(parse(compile({ ...chart, config: look }).spec), { renderer: 'none' });
  try {
    return visibleText(await view.toSVG());
  } finally {
    view.finalize();
  }
}
