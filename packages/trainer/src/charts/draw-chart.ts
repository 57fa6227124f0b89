import type { TopLevelSpec } from 'vega-lite';
import { visibleText } from '../events/visible-text.js';

/** A specification of Vega-Lite. */
export type Chart = TopLevelSpec;

/** Okabe and Ito's colours, which people of every colour vision tell apart, without those too faint on white. */
export const palette = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

/** What all charts look like. White is drawn, so that a chart is readable on a dark page too. */
const look = {
  background: '#ffffff',
  font: 'sans-serif',
  axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'normal', gridColor: '#e5e5e5' },
  legend: { labelFontSize: 12, titleFontSize: 12, labelLimit: 400, symbolSize: 120 },
  title: { fontSize: 14, subtitleFontSize: 12, subtitleColor: '#555555', anchor: 'start' },
  view: { stroke: null },
} as const;

/**
 * A chart as SVG, in which names are text; no browser takes part in it, and the same chart is always the same text. The
 * chart's own `config` takes precedence over the look of all charts. Vega is loaded by the first chart: most commands draw none.
 */
export async function drawChart(chart: Chart): Promise<string> {
  const [{ compile }, { parse, View, resetSVGDefIds }] = await Promise.all([import('vega-lite'), import('vega')]);
  const config = { ...look, ...chart.config };
  const view = new View(parse(compile({ ...chart, config }).spec), { renderer: 'none' });
  try {
    await view.runAsync();
    resetSVGDefIds(); // gradients are numbered through all charts of a process
    return visibleText(await view.toSVG());
  } finally {
    view.finalize();
  }
}
