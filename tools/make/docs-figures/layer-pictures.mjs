import { llamaLinears, strategies, usesOf } from '@glulam/model';
import { compose } from '@glulam/plugin';
import { preset } from 'glulam';
import { colours, siteChart } from './site-chart.mjs';

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

const uses = ['first', 'repeat', 'own'];
const color = {
  field: 'use',
  type: /** @type {const} */ ('nominal'),
  scale: { domain: uses, range: uses.map((use) => colours[use]) },
  legend: null,
};

/** @param {{ kind: string, options: object }} expansion */
function layersOf({ kind, options }) {
  const strategy = compose(preset())
    .all(strategies)
    .find((each) => each.kind === kind);
  if (strategy === undefined) throw new Error(`there is no expansion ${kind}`);
  const layers = strategy.expand(physicalLayers, strategy.schema.parse(options), llamaLinears);
  const uses = usesOf(layers);
  return layers.map(({ physical, weights }, virtual) => ({
    physical,
    virtual,
    use: weights === 'own' ? 'own' : uses[virtual] === 0 ? 'first' : 'repeat',
  }));
}

/** Physical layers at the left, virtual ones at the right, a line for each use. */
export async function sharedBoards() {
  const layers = layersOf(boards);
  const below = (layers.length - physicalLayers) / 2;
  const base = Array.from({ length: physicalLayers }, (_, physical) => ({ physical, row: physical + below }));
  // Places are in pixels across, and in rows of layers down.
  const x = { type: /** @type {const} */ ('quantitative'), scale: { domain: [0, 404], nice: false }, axis: null };
  const y = {
    type: /** @type {const} */ ('quantitative'),
    scale: { domain: [-1, layers.length], nice: false, reverse: true },
    axis: null,
  };
  /** A rectangle for each value, across from one place to another; its height is a share of the row's. */
  const box = (values, row, [from, to], height, mark, encoding = {}) => ({
    data: { values },
    transform: [
      { calculate: `datum.${row} + 0.5 - ${height / 2}`, as: 'top' },
      { calculate: `datum.${row} + 0.5 + ${height / 2}`, as: 'bottom' },
    ],
    mark: { type: /** @type {const} */ ('rect'), ...mark },
    encoding: {
      x: { ...x, datum: from },
      x2: { datum: to },
      y: { ...y, field: 'top' },
      y2: { field: 'bottom' },
      ...encoding,
    },
  });
  /** A field of each value, in the middle of its row. */
  const number = (values, row, at, field) => ({
    data: { values },
    transform: [{ calculate: `datum.${row} + 0.5`, as: 'middle' }],
    mark: /** @type {const} */ ('text'),
    encoding: { x: { ...x, datum: at }, y: { ...y, field: 'middle' }, text: { field } },
  });
  const headings = [
    { at: 50, text: 'base checkpoint' },
    { at: 270, text: 'virtual layers' },
    { at: 372, text: 'adapters' },
  ];
  /** @type {import('@glulam/trainer').Chart} */
  const chart = {
    width: 404,
    height: 30 * (layers.length + 1),
    layer: [
      {
        data: {
          values: layers.flatMap(({ physical, virtual, use }) =>
            [
              [100, physical + below],
              [122, physical + below],
              [198, virtual],
              [220, virtual],
            ].map(([at, row]) => ({ virtual, use, at, middle: row + 0.5 })),
          ),
        },
        mark: { type: 'line', interpolate: 'monotone', strokeWidth: 2 },
        encoding: { x: { ...x, field: 'at' }, y: { ...y, field: 'middle' }, detail: { field: 'virtual' }, color },
      },
      box(base, 'row', [0, 100], 0.74, { color: colours.empty }),
      box(layers, 'virtual', [220, 320], 0.74, { color: colours.empty }),
      box(layers, 'virtual', [220, 225], 0.74, {}, { color }),
      box(layers, 'virtual', [342, 402], 0.6, { cornerRadius: 9 }, { color }),
      number(base, 'row', 50, 'physical'),
      number(layers, 'virtual', 270, 'virtual'),
      {
        data: { values: headings.map((heading) => ({ ...heading, middle: -0.5 })) },
        mark: { type: 'text', color: colours.quiet },
        encoding: { x: { ...x, field: 'at' }, y: { ...y, field: 'middle' }, text: { field: 'text' } },
      },
    ],
  };
  const meaning = `${physicalLayers} physical layers, of which layers 2 to 5 are used twice by ${layers.length} virtual layers`;
  return `<div>\n${await siteChart(chart, meaning)}\n</div>\n`;
}

/** A grid for each of `shown`: physical layers from left to right, virtual layers from top to bottom. */
export async function kindPanels() {
  const panels = shown.map(async (expansion) => {
    const layers = layersOf(expansion);
    const y = {
      field: 'virtual',
      type: /** @type {const} */ ('ordinal'),
      title: 'virtual layer',
      scale: { paddingInner: 1 / 8 },
      axis: { values: [0, layers.length - 1], ticks: false, domain: false, minExtent: 16 },
    };
    const x = {
      field: 'physical',
      type: /** @type {const} */ ('ordinal'),
      title: 'physical layer',
      scale: { domain: Array.from({ length: physicalLayers }, (_, index) => index) },
      axis: { values: [0, physicalLayers - 1], labelAngle: 0, ticks: false, domain: false },
    };
    /** @type {import('@glulam/trainer').Chart} */
    const chart = {
      title: { text: expansion.kind, subtitle: captionOf(expansion.options) },
      width: 16 * physicalLayers,
      height: { step: 16 },
      data: { values: layers },
      layer: [
        { mark: { type: 'rect', color: colours.empty }, encoding: { y } },
        { mark: 'rect', encoding: { x, y, color } },
      ],
    };
    const meaning = `${expansion.kind}: physical layers ${layers.map(({ physical }) => physical).join(', ')}`;
    return `<div style="flex: 0 0 180px">\n${await siteChart(chart, meaning)}\n</div>`;
  });
  return `<div style="display: flex; flex-wrap: wrap; gap: 24px">\n${(await Promise.all(panels)).join('\n')}\n</div>\n`;
}

/** @param {object} options */
const captionOf = (options) =>
  Object.entries(options)
    .map(([name, value]) => (name === 'layer_map' ? JSON.stringify(value) : `${name}: ${value}`))
    .join(', ');
