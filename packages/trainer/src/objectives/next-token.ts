import type { Objective } from './objective.js';

/** The mean negative log likelihood of the labelled tokens of a step. */
export const nextToken: Objective = {
  kind: 'next_token',
  groupSize: 1,
  counts: ({ labels }) => ({ tokens: labels.filter((label) => label >= 0).length }),
  loss: ({ ops, losses, totals }) => ops.affine(ops.sumAll(losses), 1 / totals['tokens']!, 0),
};
