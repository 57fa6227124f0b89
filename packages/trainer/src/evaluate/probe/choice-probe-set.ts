import { meanScore } from '../mean-score.js';
import { continuationExamples } from './continuation-examples.js';
import { readableQuestions, type ProbeContext, type ProbeSet } from './probe-set.js';

/** A question with choices of which some are right. */
export interface ProbeChoices {
  /** The text before the choices. */
  readonly prompt: string;
  /** Each as it follows the prompt, with the space between them. */
  readonly choices: readonly string[];
  /** Whether each of them is right: one at least is. */
  readonly right: readonly boolean[];
}

/**
 * Questions scored by the log of the probability that right choices have among all, ln(sum of exp(l) over right ones) -
 * ln(sum of exp(l) over all) with l a choice's log probability summed over its tokens: the mean over questions. 0 is the
 * best there is. Unlike the share of right answers it tells models apart that choose alike.
 */
export function choiceProbeSet(questions: readonly ProbeChoices[], context: ProbeContext): ProbeSet {
  const readable = readableQuestions(
    questions.map(({ prompt, choices, right }) => {
      return { right, sequences: continuationExamples(context.tokenizer, prompt, choices) };
    }),
    context,
  );
  return {
    measure: { name: 'choice log probability', unit: 'nats a question', better: 'higher' },
    samples: readable.length,
    sequences: readable.flatMap(({ sequences }) => sequences),
    score(logProbabilities) {
      let at = 0;
      const values = readable.map(({ right }) => {
        const own = logProbabilities.slice(at, (at += right.length));
        return logSumExp(own.filter((_, i) => right[i])) - logSumExp(own);
      });
      const { score, score_stderr: error } = meanScore('score', values) as { score: number; score_stderr: number };
      return { score, error };
    },
  };
}

/** Single probabilities are far below what a float holds. */
function logSumExp(values: readonly number[]): number {
  const most = Math.max(...values);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}
