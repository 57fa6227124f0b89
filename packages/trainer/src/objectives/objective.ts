import type { Operations, Tensor } from '@glulam/tensors';
import type { LabelledBatch } from '../step/batches.js';

/** Sums by name over sequences, such as `tokens` or `pairs`. */
export type Totals = Readonly<Record<string, number>>;

/** What an objective computes a batch's loss from. Rows are the batch's, `batch.segments` says which are of which sequence. */
export interface LossContext {
  /** They record for the backward pass. */
  readonly ops: Operations;
  /** Tokens, labels and sequences. */
  readonly batch: LabelledBatch;
  /** Summed over all batches of the step, before the first forward pass. */
  readonly totals: Totals;
  /** Negative log likelihood of each row's label, 0 where a row has none: [rows], float32. */
  readonly losses: Tensor;
  /** The same by the reference, without gradient; with `needsReference`. */
  readonly reference: Tensor | undefined;
  /** Hidden states after the last norm, [rows, hidden]. */
  readonly hidden: Tensor;
}

/**
 * How a model's outputs become a loss. The loss of a step is the sum over its batches of what `loss` returns, each divided
 * by totals of the whole step: so accumulating batches equals one larger batch.
 */
export interface Objective {
  /** Its name, such as `next_token`. */
  readonly kind: string;
  /** Sequences that belong together stay in one batch, one after the other: 1, or 2 for pairs. */
  readonly groupSize: number;
  /**
   * The loss compares with the reference: the virtual layers without what is trained, adapters and gates. It needs no second
   * copy of the model, and a forward pass of its own for each batch.
   */
  readonly needsReference?: boolean;
  /** What the batch adds to the step's totals. A step whose totals are all 0 has nothing to learn from, and is refused. */
  counts(batch: LabelledBatch): Totals;
  /** The batch's share of the step's loss, a scalar. */
  loss(context: LossContext): Tensor;
}
