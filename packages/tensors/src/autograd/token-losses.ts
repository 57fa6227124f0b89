import type { Tensor } from '../contract/tensor.js';
import { checkLabels } from './check-labels.js';
import { capped } from './capped.js';
import type { Operations } from './operations.js';

/** Rows of logits that exist at a time: with a vocabulary of 32,000, 32 MB a tensor of them. */
const chunkRows = 256;

/** The head that makes logits. */
interface Head {
  readonly vocabulary: number;
  /** Watched tensors that `logits` reads. */
  readonly parameters: readonly Tensor[];
  /** See `CappedTokenLossesOptions`. */
  readonly softCap?: number | undefined;
  /** [rows, vocabulary] of x [rows, hidden] */
  logits(x: Tensor): Tensor;
}

/**
 * The negative log likelihood of each row's label under softmax(logits), 0 where it is negative: [tokens], with gradients
 * of x [tokens, hidden] and of the head's parameters. Logits are made of some labelled rows at a time, and once more in
 * backward: [tokens, vocabulary] never exists whole.
 */
export function tokenLossesByRows(ops: Operations, x: Tensor, head: Head, labels: Int32Array): Tensor {
  const { engine } = ops;
  const { vocabulary, parameters, softCap } = head;
  const logitsOf = (inputs: Tensor): Tensor =>
    softCap === undefined ? head.logits(inputs) : capped(ops, head.logits(inputs), softCap);
  checkLabels(labels, x.shape[0]!, vocabulary);
  const rows = Int32Array.from(labels.keys()).filter((row) => labels[row]! >= 0);
  const parts: Tensor[] = [];
  // Where no row has a label, none are gone through all the same: the gradients are 0 then, and not missing.
  for (let at = 0; at === 0 || at < rows.length; at += chunkRows) {
    const some = rows.subarray(at, at + chunkRows);
    const chosen = ops.gather(x, engine.upload(some, [some.length]));
    const picks = some.map((row, i) => i * vocabulary + labels[row]!);
    parts.push(ops.recomputed(chosen, parameters, (inputs) => losses(ops, logitsOf(inputs), picks)));
  }
  // After the losses comes the 0 of rows without a label.
  parts.push(engine.full([1, 1], 0));
  const places = new Int32Array(labels.length).fill(rows.length);
  rows.forEach((row, i) => (places[row] = i));
  return ops.reshape(ops.gather(ops.concatenate(parts, 0), engine.upload(places, [places.length])), [labels.length]);
}

/** log(sum of exp(logits)) - logit of the label, [rows, 1]; `picks` are the labels' places among all logits. */
function losses(ops: Operations, logits: Tensor, picks: Int32Array): Tensor {
  const { engine } = ops;
  const shifted = ops.sub(logits, engine.reduce('max', logits, 1));
  const logSum = ops.log(ops.sum(ops.exp(shifted), 1));
  const chosen = ops.gather(ops.reshape(shifted, [shifted.size, 1]), engine.upload(picks, [picks.length]));
  return ops.sub(logSum, chosen);
}
