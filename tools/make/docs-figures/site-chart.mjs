import { drawChart } from '@glulam/trainer';

/** The site's colours, light or dark, by what they stand for. */
export const colours = {
  text: 'var(--vp-c-text-1)',
  quiet: 'var(--vp-c-text-2)',
  first: 'var(--vp-c-text-3)',
  repeat: 'var(--vp-c-brand-2)',
  own: 'var(--vp-c-yellow-2)',
  empty: 'var(--vp-c-default-soft)',
};

const { text, quiet } = colours;
const line = 'var(--vp-c-divider)';
/** @type {import('@glulam/trainer').Chart['config']} */
const look = {
  background: 'transparent',
  font: 'var(--vp-font-family-base)',
  aria: false,
  view: { stroke: null },
  axis: {
    ...{ labelColor: quiet, titleColor: quiet, domainColor: line, tickColor: line, gridColor: line },
    ...{ labelFontSize: 11, titleFontSize: 11, titleFontWeight: 'normal' },
  },
  legend: { labelColor: quiet, labelFontSize: 12, symbolSize: 120 },
  title: {
    color: text,
    fontSize: 13,
    fontWeight: 'normal',
    subtitleColor: quiet,
    subtitleFontSize: 11,
    anchor: 'start',
  },
  text: { color: text, fontSize: 13 },
};

/**
 * A chart as a part of the page, not as an image: its colours and letters are the site's own. It is never wider than drawn,
 * and narrower where the page is.
 *
 * @param {import('@glulam/trainer').Chart} chart
 * @param {string} meaning for those who do not see it
 */
export async function siteChart(chart, meaning) {
  const svg = await drawChart({ ...chart, config: look });
  return svg.replace('<svg ', `<svg role="img" aria-label="${meaning}" style="max-width: 100%; height: auto" `);
}
