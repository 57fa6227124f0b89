import { strategies, visits } from '@glulam/model';
import { compose } from '@glulam/plugin';
import { preset } from 'glulam';
import { colours, label, rect, svg } from './svg.mjs';

const physicalLayers = 8;
const boards = {
  kind: 'layer_map',
  options: {
    layer_map: [
      [0, 4],
      [2, 6],
      [4, 8],
    ],
  },
};

/** What the strategies make of eight layers; the captions are how a config says them. */
const shown = [
  boards,
  { kind: 'interleave', options: { every: 2 } },
  { kind: 'repeat_yourself', options: { i: 4, j: 6 } },
  { kind: 'depth_up', options: { m: 2 } },
  { kind: 'sliding_windows', options: { window: 4, step: 2 } },
  { kind: 'llama_pro', options: { layers: 10 } },
];

/** @param {{ kind: string, options: object }} expansion */
function layersOf({ kind, options }) {
  const strategy = compose(preset())
    .all(strategies)
    .find((each) => each.kind === kind);
  if (strategy === undefined) throw new Error(`there is no expansion ${kind}`);
  return strategy.expand(physicalLayers, strategy.schema.parse(options));
}

/** Physical layers at the left, virtual ones at the right, a line for each visit. */
export function sharedBoards() {
  const layers = layersOf(boards);
  const visit = visits(layers);
  const row = 30;
  const height = 22;
  const top = 34;
  const left = top + ((layers.length - physicalLayers) * row) / 2;
  const middleOf = (from, index) => from + index * row + height / 2;
  const parts = [
    label({ x: 50, y: 18, text: 'base checkpoint', anchor: 'middle', fill: colours.quiet }),
    label({ x: 270, y: 18, text: 'virtual layers', anchor: 'middle', fill: colours.quiet }),
    label({ x: 372, y: 18, text: 'adapters', anchor: 'middle', fill: colours.quiet }),
  ];
  layers.forEach(({ physical }, index) => {
    const [from, to] = [middleOf(left, physical), middleOf(top, index)];
    const colour = visit[index] === 0 ? colours.first : colours.repeat;
    const y = top + index * row;
    parts.push(
      `<path d="M 100 ${from} C 160 ${from}, 160 ${to}, 220 ${to}" style="fill: none; stroke: ${colour}; stroke-width: 2" />`,
      rect({ x: 220, y, width: 100, height, fill: colours.empty, round: 4 }),
      rect({ x: 220, y, width: 5, height, fill: colour }),
      label({ x: 270, y: to + 4, text: `${index}`, anchor: 'middle' }),
      rect({ x: 342, y: y + 2, width: 60, height: height - 4, fill: colour, round: 9 }),
    );
  });
  for (let index = 0; index < physicalLayers; index++)
    parts.push(
      rect({ x: 0, y: left + index * row, width: 100, height, fill: colours.empty, round: 4 }),
      label({ x: 50, y: middleOf(left, index) + 4, text: `${index}`, anchor: 'middle' }),
    );
  const meaning = `${physicalLayers} physical layers, of which layers 2 to 5 are used twice by ${layers.length} virtual layers`;
  return `<div>\n${svg(404, top + layers.length * row, meaning, parts)}\n</div>\n`;
}

/** A grid for each of `shown`: physical layers from left to right, virtual layers from top to bottom. */
export function kindPanels() {
  const panels = shown.map((expansion) => {
    const layers = layersOf(expansion);
    const visit = visits(layers);
    const cell = 16;
    const parts = [
      label({ x: 0, y: 14, text: expansion.kind }),
      label({ x: 0, y: 30, text: captionOf(expansion.options), size: 11, fill: colours.quiet }),
    ];
    layers.forEach(({ physical, weights }, index) => {
      const used = weights === 'own' ? colours.own : visit[index] === 0 ? colours.first : colours.repeat;
      const [y, height] = [40 + index * cell, cell - 2];
      parts.push(
        rect({ x: 0, y, width: physicalLayers * cell, height, fill: colours.empty }),
        rect({ x: physical * cell, y, width: cell, height, fill: used }),
      );
    });
    const meaning = `${expansion.kind}: physical layers ${layers.map(({ physical }) => physical).join(', ')}`;
    return `<div style="flex: 0 0 160px">\n${svg(160, 40 + 12 * cell, meaning, parts)}\n</div>`;
  });
  return `<div style="display: flex; flex-wrap: wrap; gap: 24px">\n${panels.join('\n')}\n</div>\n`;
}

/** @param {object} options */
const captionOf = (options) =>
  Object.entries(options)
    .map(([name, value]) => (name === 'layer_map' ? JSON.stringify(value) : `${name}: ${value}`))
    .join(', ');
