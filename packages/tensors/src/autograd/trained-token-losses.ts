import { checkLabels } from './check-labels.js';
import type { Operations } from './operations.js';
import type { Tensor } from '../contract/tensor.js';

/** Rows of logits that exist at a time: with a vocabulary of 32,000, 32 MB a tensor of them. */
const chunkRows = 256;

/**
 * The negative log likelihood of each row's label under softmax(x W^T), 0 where it is negative: [tokens], with gradients
 * of both x [tokens, hidden] and the trained head W [vocabulary, hidden]. Logits are made of some labelled rows at a
 * time, and once more in backward: [tokens, vocabulary] never exists whole.
 */
export function trainedTokenLosses(ops: Operations, x: Tensor, weight: Tensor, labels: Int32Array): Tensor {
  const { engine } = ops;
  const vocabulary = weight.shape[0]!;
  checkLabels(labels, x.shape[0]!, vocabulary);
  const wide = ops.cast(x, 'float32');
  const rows = Int32Array.from(labels.keys()).filter((row) => labels[row]! >= 0);
  const parts: Tensor[] = [];
  for (let at = 0; at < rows.length; at += chunkRows) {
    const some = rows.subarray(at, at + chunkRows);
    const chosen = ops.gather(wide, engine.upload(some, [some.length]));
    const picks = some.map((row, i) => i * vocabulary + labels[row]!);
    parts.push(ops.recomputed(chosen, [weight], (inputs) => losses(ops, inputs, weight, picks)));
  }
  // Behind the losses stands the 0 of rows without a label.
  parts.push(engine.full([1, 1], 0));
  const places = new Int32Array(labels.length).fill(rows.length);
  rows.forEach((row, i) => (places[row] = i));
  return ops.reshape(ops.gather(ops.concatenate(parts, 0), engine.upload(places, [places.length])), [labels.length]);
}

/** log(sum of exp(logits)) - logit of the label, [rows, 1]; `picks` are the labels' places among all logits. */
function losses(ops: Operations, x: Tensor, weight: Tensor, picks: Int32Array): Tensor {
  const { engine } = ops;
  const logits = ops.matmul(x, weight, { transposeB: true });
  const shifted = ops.sub(logits, engine.reduce('max', logits, 1));
  const logSum = ops.log(ops.sum(ops.exp(shifted), 1));
  const chosen = ops.gather(ops.reshape(shifted, [shifted.size, 1]), engine.upload(picks, [picks.length]));
  return ops.sub(logSum, chosen);
}
