// Charts of the scaling benchmark as SVG, drawn without a browser.
import * as echarts from 'echarts';
import { pointsOf, series } from './scaling-points.mjs';

const colours = { measured: '#1f5fa8', foretold: '#d1711a' };

/**
 * Speed and memory of one series, side by side.
 *
 * @param {keyof typeof series} name
 * @param {(import('./scaling-points.mjs').Point & { tokensPerSecond: number, modelled: number, measured: number, planned: number })[]} points
 * @returns {string} SVG
 */
export function scalingChart(name, points) {
  const shown = pointsOf(name, points);
  const panels = [
    { title: 'tokens a second', measured: shown.map((each) => each.tokensPerSecond), foretold: shown.map((each) => each.modelled), legend: 'model of cost' },
    { title: 'peak memory, MB', measured: shown.map((each) => each.measured / 1e6), foretold: shown.map((each) => each.planned / 1e6), legend: 'plan' },
  ]; // prettier-ignore
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 360 });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif', fontSize: 13 },
    title: panels.map(({ title }, i) => ({ text: title, left: ['8%', '57%'][i], top: 8, textStyle: { fontSize: 15 } })),
    legend: panels.map(({ legend }, i) => ({
      data: [`measured${' '.repeat(i)}`, legend],
      left: ['25%', '75%'][i],
      top: 10,
    })),
    grid: [
      { left: '8%', width: '38%', top: 56, bottom: 56 },
      { left: '57%', width: '38%', top: 56, bottom: 56 },
    ],
    xAxis: panels.map((_, gridIndex) => ({
      type: 'category',
      gridIndex,
      data: series[name].values.map(String),
      name: series[name].title,
      nameLocation: 'middle',
      nameGap: 32,
    })),
    yAxis: panels.map((_, gridIndex) => ({ type: 'value', gridIndex, min: 0 })),
    series: panels.flatMap(({ measured, foretold, legend }, i) => [
      line(`measured${' '.repeat(i)}`, measured, i, { color: colours.measured }),
      line(legend, foretold, i, { color: colours.foretold, type: 'dashed' }),
    ]),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

const line = (name, data, panel, { color, type = 'solid' }) => ({
  name,
  type: 'line',
  data,
  xAxisIndex: panel,
  yAxisIndex: panel,
  symbol: 'circle',
  symbolSize: 8,
  lineStyle: { color, type, width: 2 },
  itemStyle: { color },
});
