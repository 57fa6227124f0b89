// Figures are part of the page, not images: their colours are the site's own, light or dark. A blank line would end them,
// for Markdown.

/** The site's colours, by what they stand for. */
export const colours = {
  text: 'var(--vp-c-text-1)',
  quiet: 'var(--vp-c-text-2)',
  first: 'var(--vp-c-text-3)',
  repeat: 'var(--vp-c-brand-2)',
  own: 'var(--vp-c-yellow-2)',
  empty: 'var(--vp-c-default-soft)',
};

/** @param {{ x: number, y: number, width: number, height: number, fill: string, round?: number }} box */
export const rect = ({ x, y, width, height, fill, round = 2 }) =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${round}" style="fill: ${fill}" />`;

/** @param {{ x: number, y: number, text: string, size?: number, anchor?: 'start' | 'middle' | 'end', fill?: string }} label */
export const label = ({ x, y, text, size = 13, anchor = 'start', fill = colours.text }) =>
  `<text x="${x}" y="${y}" font-size="${size}" text-anchor="${anchor}" style="fill: ${fill}">${text}</text>`;

/**
 * A picture that is never wider than drawn, and narrower where the page is.
 *
 * @param {number} width @param {number} height @param {string} meaning for those who do not see it
 * @param {readonly string[]} parts
 */
export const svg = (width, height, meaning, parts) =>
  [
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${meaning}" style="width: 100%; max-width: ${width}px; height: auto; font-family: var(--vp-font-family-base)">`,
    ...parts,
    '</svg>',
  ].join('\n');
