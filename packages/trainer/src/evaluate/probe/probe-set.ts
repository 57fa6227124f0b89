import type { Example } from '../../step/batches.js';
import { TrainerError } from '../../errors.js';
import type { EvaluationContext } from '../evaluator.js';

/** What questions are made from before there is a model. */
export interface ProbeContext extends Pick<EvaluationContext, 'tokenizer' | 'signal' | 'warn'> {
  /** Held-out examples; empty for an evaluator that does not need them. */
  readonly heldOut: readonly Example[];
  /** Samples that are wanted, from the first, where the evaluator's own options say nothing. */
  readonly limit: number;
  /** The longest sequence that the models read. */
  readonly maxPositions: number;
}

/** A score, for people. */
export interface Measure {
  /** As a column is headed: `loss`. */
  readonly name: string;
  /** What it is counted in: `nats a token`. */
  readonly unit: string;
  /** Which values are better. */
  readonly better: 'lower' | 'higher';
}

/** A few questions as sequences, and the score that models get by their log probabilities. */
export interface ProbeSet {
  /** What the score is. */
  readonly measure: Measure;
  /** Questions or examples; a question can have several sequences. */
  readonly samples: number;
  /** `trained[i]` is 1 where the log probability of token i counts. */
  readonly sequences: readonly Example[];
  /**
   * The score and its standard error over samples.
   *
   * @param logProbabilities of each sequence, natural, summed over the tokens that count
   */
  score(logProbabilities: readonly number[]): { readonly score: number; readonly error: number };
}

/**
 * Those of some questions whose sequences the models read; others are left out for all models alike, and told.
 *
 * @throws TrainerError CONFIG_INVALID if there is none
 */
export function readableQuestions<Question extends { readonly sequences: readonly Example[] }>(
  questions: readonly Question[],
  { maxPositions, warn }: Pick<ProbeContext, 'maxPositions' | 'warn'>,
): Question[] {
  const readable = questions.filter(({ sequences }) => sequences.every(({ ids }) => ids.length <= maxPositions));
  const tooLong = questions.length - readable.length;
  const positions = `the ${maxPositions} positions of the model`;
  if (readable.length === 0)
    throw new TrainerError(
      'CONFIG_INVALID',
      `all ${questions.length} questions, with their answers, exceed ${positions}; put fewer or shorter examples before them`,
    );
  if (tooLong > 0)
    warn?.(`${tooLong} of ${questions.length} questions, with their answers, exceed ${positions} and are left out`);
  return readable;
}
