import { drawChart } from '@glulam/trainer';
import type { Block } from '../report/blocks.js';
import { intervalsText } from '../report/layers-chart.js';
import { plain, signed } from '../report/signed.js';
import { writeBlocks } from '../report/write-blocks.js';
import { howBad, type RankedMap, type Ranking } from './rank-maps.js';
import { repeatsChart } from './repeats-chart.js';

/** So many of the best maps are listed; results.json has all. */
const listed = 20;

/** What was searched, for the report's introduction. */
interface SearchedModel {
  readonly base: string;
  readonly engine: string;
  /** Of the probe. */
  readonly samples: number;
  readonly tokens: number;
}

export async function writeSearchReport(
  folder: string,
  ranking: Ranking,
  searched: SearchedModel,
): Promise<{ readonly reports: string[]; readonly findings: string[] }> {
  const { maps, physicalLayers, measure } = ranking;
  const findings = searchFindings(ranking);
  const isDrawn = maps.some(({ repeat, score }) => repeat !== undefined && Number.isFinite(score));
  const blocks: Block[] = [
    { kind: 'title', text: `Layer maps of ${searched.base}` },
    {
      kind: 'text',
      text: `${maps.length} maps of ${physicalLayers} layers, untrained, by their ${measure.name} in ${measure.unit}; ${measure.better} is better. Evaluator: ${measure.evaluator}, over ${searched.samples} samples (${searched.tokens.toLocaleString('en-US')} tokens). Engine: ${searched.engine}.`,
    },
    { kind: 'heading', text: 'In short' },
    { kind: 'list', items: findings },
    { kind: 'heading', text: maps.length > listed ? `The best ${listed}` : 'All maps' },
    mapsTable(ranking),
    {
      kind: 'text',
      text: '± is one standard error over the samples. They are the same for all maps, so that a difference between two of them is surer than either score.',
    },
    ...(isDrawn
      ? [
          { kind: 'heading', text: 'Layers laid out twice' } as const,
          {
            kind: 'picture',
            file: 'repeats.svg',
            svg: await drawChart(repeatsChart(ranking)),
            title: `${measure.name} of every run of layers laid out twice, less that of the base`,
          } as const,
          {
            kind: 'text',
            text: 'The cell (i, j) is the map [[0, j], [i, n]], in which the layers i to j - 1 come twice. Blue is better than the base. The scale ends at the median: worse maps look alike.',
          } as const,
        ]
      : []),
  ];
  return { reports: await writeBlocks(folder, blocks), findings };
}

function searchFindings({ base, maps, measure, passes: { run, alone } }: Ranking): string[] {
  const best = maps[0];
  const better = maps.filter(({ score }) => howBad(score, measure) < howBad(base.score, measure)).length;
  const count = (value: number): string => value.toLocaleString('en-US');
  return [
    ...(best === undefined
      ? []
      : [
          `Best map: ${intervalsText(best.map)} with ${measure.name} ${plain(best.score)}; the base has ${plain(base.score)} (a difference of ${difference(best, base)}).`,
          `Of ${maps.length} maps ${better} ${better === 1 ? 'is' : 'are'} better than the base before any training.`,
        ]),
    `Layer passes over the probe: ${count(run)} in place of ${count(alone)}, ${((100 * (alone - run)) / alone).toFixed(0)}% saved.`,
  ];
}

function mapsTable({ base, maps, measure }: Ranking): Block {
  const row = (name: string, each: RankedMap): string[] => [
    name,
    each.repeat === undefined ? '–' : `${each.repeat.i}, ${each.repeat.j}`,
    String(each.virtualLayers),
    `${plain(each.score)} ± ${plain(each.error)}`,
    each === base ? '–' : difference(each, base),
  ];
  return {
    kind: 'table',
    head: ['map', 'i, j', 'layers', `${measure.name}, ${measure.better} is better`, 'less the base’s'],
    rows: [row('the base', base), ...maps.slice(0, listed).map((each) => row(intervalsText(each.map), each))],
  };
}

const difference = (one: RankedMap, other: RankedMap): string => signed(one.score - other.score);
