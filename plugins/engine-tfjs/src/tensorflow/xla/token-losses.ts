import type { Precision } from '@glulam/tensors';
import { tfTypeOf, type TfTensor } from '../binding.js';
import { elementOf, type Value } from './stablehlo.js';
import { perRow, whole, type Xla } from './xla.js';

/**
 * Some rows' losses, and with `keep` the gradients to the rows, [rows] and [rows, hidden]: logits are summed and stay in
 * float32 whatever the operands are.
 */
export function lossesProgram(
  xla: Xla,
  precision: Precision,
  inputs: {
    /** [rows, hidden] */
    readonly rows: TfTensor;
    /** [vocabulary, hidden] */
    readonly head: TfTensor;
    /** int32, one a row */
    readonly labels: TfTensor;
    /** The labels' rows of the head: a label's logit is their product, which no one searches among all logits. */
    readonly headOfLabels: TfTensor;
    /** A 1 a row: rows that are added have 0, and so no gradient. */
    readonly ones: TfTensor;
  },
  keep: boolean,
): readonly TfTensor[] {
  const compute = elementOf(tfTypeOf(precision));
  const { rows, head, labels, headOfLabels, ones } = inputs;
  const operands = [perRow(rows), whole(head), perRow(labels), perRow(headOfLabels), perRow(ones)];
  return xla.run('tokenLosses', [keep], rows.shape[0]!, operands, (p, values) => {
    const [label, one] = [values[2]!, values[4]!];
    const [x, weight, own] = [values[0]!, values[1]!, values[3]!].map((value) => p.convert(value, compute)) as [
      Value,
      Value,
      Value,
    ];
    const logits = p.product(x, weight, 'columns', 'columns');
    const { shape } = logits;
    const largest = p.reduce('maximum', logits, 1);
    const below = p.binary('subtract', logits, p.spread(largest, [0], shape));
    const powers = p.unary('exponential', below);
    const sum = p.sumOfRows(powers);
    const ofLabel = p.sumOfRows(p.mul(p.convert(x, 'f32'), p.convert(own, 'f32')));
    const losses = p.binary('subtract', p.add(largest, p.unary('log', sum)), ofLabel);
    if (!keep) return [perRow(losses)];
    const isLabel = p.compare('EQ', p.places(shape, 1), p.spread(label, [0], shape));
    const shares = p.mul(powers, p.spread(p.binary('divide', 1, sum), [0], shape));
    const dLogits = p.convert(p.binary('subtract', shares, p.select(isLabel, 1, 0)), compute);
    const dRows = p.product(dLogits, weight, 'columns', 'rows');
    return [perRow(losses), perRow(p.mul(dRows, p.spread(one, [0], dRows.shape)))];
  });
}
