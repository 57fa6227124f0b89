// Charts of the scaling benchmark as SVG, drawn without a browser.
import * as echarts from 'echarts';
import { pointsOf, series } from './scaling-points.mjs';

const measuredStyle = { name: 'measured', symbol: 'circle', colour: '#1f5fa8', line: 'solid' };
const foretoldStyle = { name: 'foretold', symbol: 'emptyCircle', colour: '#d1711a', line: 'dashed' };

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
    {
      title: 'tokens a second',
      measured: shown.map((each) => each.tokensPerSecond),
      foretold: shown.map((each) => each.modelled),
    },
    {
      title: 'peak memory, MB',
      measured: shown.map((each) => each.measured / 1e6),
      foretold: shown.map((each) => each.planned / 1e6),
    },
  ];
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 360 });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif', fontSize: 13 },
    title: panels.map(({ title }, i) => ({ text: title, left: ['6%', '56%'][i], top: 8, textStyle: { fontSize: 15 } })),
    legend: { top: 10, right: '5%', itemGap: 24 },
    grid: [
      { left: '7%', width: '39%', top: 56, bottom: 56 },
      { left: '56%', width: '39%', top: 56, bottom: 56 },
    ],
    xAxis: panels.map((_, gridIndex) => ({
      type: 'category',
      gridIndex,
      data: shown.map((each) => String(each[name])),
      name: series[name].title,
      nameLocation: 'middle',
      nameGap: 32,
    })),
    yAxis: panels.map((_, gridIndex) => ({ type: 'value', gridIndex, min: 0 })),
    series: panels.flatMap(({ measured, foretold }, panel) => [
      line(measured, panel, measuredStyle),
      line(foretold, panel, foretoldStyle),
    ]),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

const line = (data, panel, { name, symbol, colour, line: type }) => ({
  name,
  type: 'line',
  data,
  xAxisIndex: panel,
  yAxisIndex: panel,
  symbol,
  symbolSize: 9,
  lineStyle: { color: colour, type, width: 2 },
  itemStyle: { color: colour },
});
