// The page that `npm run bench:scaling` writes.
import { isForetold } from '../../check/plan-and-train.mjs';
import { digits, markdownTable } from './results-table.mjs';
import { pointsOf, series } from './scaling-points.mjs';

const megabytes = (bytes) => (bytes / 1e6).toFixed(0);
const gigabytes = (bytes) => digits(bytes / 1e9);
const percent = (share) => `${(100 * share).toFixed(0)}%`;

/**
 * @param {{ about: string, points: object[], wide: object[], cost: ReturnType<typeof import('../measure/cost-fit.mjs').fitCost>, limit: number, check: object, projections: object[] }} results
 * @param {string} processor its charts' names begin with it
 */
export function scalingPage({ about, points, wide, cost, limit, check, projections }, processor) {
  const all = [...points, ...wide, check];
  const foretold = all.filter(isForetold).length;
  return (
    [
      '# Scaling',
      `What \`npm run bench:scaling\` measured. ${about}`,
      'Training of the shape `small` (130 M random parameters, 8 physical layers) with LoRA on seven projections, bfloat16, nothing ' +
        'recomputed: 12 virtual layers, 512 tokens, one sequence a batch, r=8, but for what each table varies. Speed is the median ' +
        "of a run's steps after the first; memory, of a run of its own, the most that no file backs, looked at from outside every 2 ms, beside the plan. " +
        `At ${foretold} of ${all.length} points the plan is within 10% or 50 MB.`,
      ...Object.entries(series).flatMap(([name, { title }]) => [
        `## By ${title}`,
        `![Speed and memory by ${title}](${processor}-${name}.svg)`,
        pointTable(title, pointsOf(name, points), name),
      ]),
      '## A model of cost',
      `The seconds of a step are a sum of terms, whose rates were fitted to the points above and to ${wide.length} of the shape \`bench\`, which is ` +
        `2.7 times as wide (the largest error is ${percent(cost.worst)}):`,
      rateTable(cost),
      `Products, low rank and attention are counted as in [the results](../results/${processor}.md). Each pass, forward and backward, visits the weights of every ` +
        'virtual layer and of the head, however many tokens there are, and reads and writes the activations of the linear layers. ' +
        `No rate of products was tried beyond the machine's limit of ${digits(limit)} GFLOP/s. ` +
        'The 1.0 B of `bench`, the last line not fitted to:',
      markdownTable(
        ['virtual layers', 'tokens', 'tokens/s', 'by the model', 'planned, MB', 'measured, MB'],
        [...wide, check].map((each) => [
          String(each.layers),
          String(each.tokens),
          digits(each.tokensPerSecond),
          digits(each.modelled),
          megabytes(each.planned),
          megabytes(each.measured),
        ]),
      ),
      '## Projected, not measured',
      'LoRA r=8 on seven projections, one sequence a batch. Time is by the model of cost on this machine, as if it held the mapped weights in memory; ' +
        'memory that cannot be evicted is by the plan, from config.json alone.',
      projectionTable(projections),
    ].join('\n\n') + '\n'
  );
}

function pointTable(title, points, name) {
  return markdownTable(
    [title, 'tokens/s', 'by the model', 'planned, MB', 'measured, MB', 'off', 'within'],
    points.map((point) => [
      String(point[name]),
      digits(point.tokensPerSecond),
      digits(point.modelled),
      megabytes(point.planned),
      megabytes(point.measured),
      percent(point.planned / point.measured - 1),
      isForetold(point) ? 'yes' : '**no**',
    ]),
  );
}

function rateTable({ perUnit }) {
  const units = {
    products: 'GFLOP/s',
    lowRank: 'GFLOP/s',
    attention: 'GFLOP/s',
    weights: 'billion/s',
    activations: 'billion/s',
  };
  const names = {
    products: 'products with frozen weights',
    lowRank: 'low-rank products',
    attention: 'attention',
    weights: 'weights visited',
    activations: 'activations of linear layers',
  };
  return markdownTable(
    ['term', 'rate'],
    Object.entries(names).map(([term, name]) => [
      name,
      perUnit[term] ? `${digits(1 / perUnit[term] / 1e9)} ${units[term]}` : 'no time of its own',
    ]),
  );
}

const projectionTable = (projections) =>
  markdownTable(
    [
      'base',
      'virtual layers',
      'tokens',
      'recompute',
      'TFLOP a step',
      'a step, s',
      'tokens/s',
      'mapped weights, GB',
      'beside them, GB',
    ],
    projections.map((each) => [
      each.name,
      String(each.layers),
      String(each.tokens),
      each.recompute ? 'yes' : 'no',
      digits(each.total / 1e12),
      digits(each.seconds),
      digits(each.tokens / each.seconds),
      gigabytes(each.weights),
      gigabytes(each.peak),
    ]),
  );
