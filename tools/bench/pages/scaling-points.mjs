// The training runs of the scaling benchmark: one thing at a time is varied about one point in the middle.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../prepare.mjs';

/** @typedef {{ layers: number, tokens: number, batch: number, rank: number }} Point */

/** @type {Point} */
const middle = { layers: 12, tokens: 512, batch: 1, rank: 8 };

/** By what is varied; `layers` are virtual ones of the 8 physical. */
export const series = {
  tokens: { title: 'sequence length', values: [128, 256, 512, 1024, 2048, 4096, 8192] },
  layers: { title: 'virtual layers (of 8 physical)', values: [8, 12, 16, 24, 32] },
  batch: { title: 'sequences a batch', values: [1, 2, 4, 8] },
  rank: { title: 'rank', values: [4, 8, 16, 64, 256] },
};

/** Of the shape `bench`, so that the model of cost has seen two widths; `check` is not fitted to. */
export const widePoints = {
  fitted: [
    { ...middle, layers: 24, tokens: 128 },
    { ...middle, layers: 16 },
  ],
  check: { ...middle, layers: 24 },
};

/** Every point once, whichever series it belongs to. @returns {Point[]} */
export function scalingPoints() {
  const all = Object.entries(series).flatMap(([name, { values }]) =>
    values.map((value) => ({ ...middle, [name]: value })),
  );
  return [...new Map(all.map((point) => [JSON.stringify(point), point])).values()];
}

/** A few of them, for a check of the benchmark itself. */
export const fewPoints = () =>
  scalingPoints().filter(
    ({ layers, tokens, batch, rank }) => layers === 12 && tokens <= 256 && batch === 1 && rank <= 8,
  );

/** The points of one series that were measured. @param {string} name @param {(Point & object)[]} measured */
export const pointsOf = (name, measured) =>
  series[name].values.flatMap((value) => {
    const wanted = Object.entries({ ...middle, [name]: value });
    return measured.filter((point) => wanted.every(([key, each]) => point[key] === each)).slice(0, 1);
  });

/**
 * Intervals of `layers` virtual layers over `physical` ones: whole copies, or the map of the seed for 1.5 times as many.
 *
 * @param {number} physical
 * @param {number} layers
 * @returns {[start: number, end: number][]}
 */
export function layerMap(physical, layers) {
  if (layers % physical === 0) return Array.from({ length: layers / physical }, () => [0, physical]);
  if (layers !== 1.5 * physical) throw new Error(`no map of ${physical} layers as ${layers}`);
  return [
    [0, physical / 2],
    [physical / 4, (3 * physical) / 4],
    [physical / 2, physical],
  ];
}

/**
 * A run over sequences of exactly so many tokens: one long text, which is split.
 *
 * @param {Point} point
 * @param {{ base: string, physical: number, work: string, steps: number }} how
 * @returns {import('glulam').GlulamConfig}
 */
export function configOf({ layers, tokens, batch, rank }, { base, physical, work, steps }) {
  return {
    base,
    expansion: { kind: 'layer_map', layer_map: layerMap(physical, layers) },
    adapter: { kind: 'lora', r: rank, lora_alpha: 2 * rank },
    data: { train: longText(work), maxTokens: tokens, cache: path.join(work, 'tokens') },
    train: { steps, batch },
    reporters: [],
    out: path.join(work, [path.basename(base), layers, tokens, batch, rank, steps].join('-')),
  };
}

/** A file of one row: the word problems of the examples, one behind the other, about 120,000 tokens. */
function longText(work) {
  const file = path.join(work, 'text.jsonl');
  if (existsSync(file)) return file;
  const rows = readFileSync(path.join(root, 'examples/data/word-problems.train.jsonl'), 'utf8').trim().split('\n');
  const once = rows.map((row) => Object.values(JSON.parse(row)).join(' ')).join('\n');
  writeFileSync(file, `${JSON.stringify({ text: once.repeat(Math.ceil(400_000 / once.length)) })}\n`);
  return file;
}
