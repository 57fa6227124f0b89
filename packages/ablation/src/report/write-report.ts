import path from 'node:path';
import { drawChart } from '@glulam/trainer';
import type { WholeConfig } from '../ablation-folder.js';
import type { Outcome } from '../results/outcomes.js';
import { scoreLabel, watchKey } from '../results/scores.js';
import type { Block } from './blocks.js';
import { curvesChart } from './curves-chart.js';
import { findings } from './findings.js';
import { layersChart } from './layers-chart.js';
import { reachTable, scoresTable, sizesTable } from './tables.js';
import { writeBlocks } from './write-blocks.js';

/**
 * Write report.md with its pictures, and report.html with them in it.
 *
 * @param repeatable the config as YAML, as the report shows it
 */
export async function writeReport(
  config: WholeConfig,
  repeatable: string,
  outcomes: readonly Outcome[],
): Promise<{ readonly reports: string[]; readonly findings: string[] }> {
  const { watch } = config.evaluate;
  const found = findings(outcomes, watch);
  const blocks = await reportBlocks(config, repeatable, outcomes, found);
  return { reports: await writeBlocks(config.out, blocks), findings: found };
}

async function reportBlocks(
  config: WholeConfig,
  repeatable: string,
  outcomes: readonly Outcome[],
  found: readonly string[],
): Promise<Block[]> {
  const { watch } = config.evaluate;
  const { seeds } = config.ablation;
  const watched = watchKey(watch);
  const label = scoreLabel(watched);
  const isLoss = watched === 'loss.loss';
  const curves = await drawChart(curvesChart(outcomes, watched, isLoss ? 'loss' : label, isLoss));
  const layers = await drawChart(layersChart(outcomes));
  const reach = reachTable(outcomes, watch);
  return [
    { kind: 'title', text: `Ablation of ${path.basename(config.base)}` },
    { kind: 'text', text: introduction(config, outcomes) },
    ...(found.length === 0
      ? []
      : [{ kind: 'heading', text: 'In short' } as const, { kind: 'list', items: found } as const]),
    { kind: 'heading', text: 'Scores' },
    scoresTable(outcomes, watch),
    { kind: 'text', text: scoresNote(seeds.length, label) },
    { kind: 'heading', text: isLoss ? 'Loss' : `By step: ${label}` },
    { kind: 'picture', file: 'curves.svg', svg: curves, title: `${label} of all variants by step` },
    ...(reach === undefined
      ? []
      : [
          { kind: 'heading', text: `Steps to the other's best` } as const,
          reach,
          {
            kind: 'text',
            text: `The first evaluation at which a row's ${label} is as good as the best that the column's variant had with the same seed.`,
          } as const,
        ]),
    { kind: 'heading', text: 'Layers' },
    { kind: 'picture', file: 'layers.svg', svg: layers, title: 'virtual layers over the physical ones' },
    { kind: 'heading', text: 'Sizes and speed' },
    sizesTable(outcomes),
    { kind: 'text', text: sizesNote(outcomes) },
    { kind: 'heading', text: 'To repeat it' },
    { kind: 'text', text: 'glulam ablate with this config; its paths are relative to the folder of this report.' },
    { kind: 'code', text: repeatable },
  ];
}

function introduction(config: WholeConfig, outcomes: readonly Outcome[]): string {
  const { seeds } = config.ablation;
  const runs = outcomes.flatMap((each) => each.runs);
  const steps = Math.max(0, ...runs.map(({ losses }) => losses.at(-1)?.step ?? 0));
  const engines = [...new Set(runs.map(({ engine }) => engine))].join('; ');
  return (
    `${outcomes.length} variants of ${path.basename(config.base)}, those that are trained for ${steps} steps with ${seeds.length === 1 ? 'the seed' : 'the seeds'} ${seeds.join(', ')}, ` +
    `all with the same data in the same order. Engine: ${engines}.`
  );
}

function scoresNote(seeds: number, label: string): string {
  const errors =
    seeds > 1
      ? `± is one standard error over ${seeds} seeds, in brackets over the evaluator's samples.`
      : 'In brackets: one standard error over the evaluator’s samples; one seed tells nothing of the errors over seeds.';
  return `Training loss: the mean of the last tenth of the steps. Best ${label}: of all evaluations after step 0; the scores behind it are those at the end. ${errors}`;
}

function sizesNote(outcomes: readonly Outcome[]): string {
  const counts = outcomes.flatMap(({ isTrained, variant }) => (isTrained ? [variant.plan.parameters.trainable] : []));
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const matched =
    counts.length < 2
      ? ''
      : least === most
        ? 'All trained variants train the same number of parameters. '
        : `Trained variants differ in what they train by ${((100 * (most - least)) / least).toFixed(1)}%. `;
  return (
    `${matched}Memory is what no file backs, besides the mapped base, which all variants share: planned, for the run alone; ` +
    'of the process, the most that was seen, with what earlier variants left in it to be used again. Time a step: the median.'
  );
}
