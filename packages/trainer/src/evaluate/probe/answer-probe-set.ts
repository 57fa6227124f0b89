import { meanLossOf } from '../mean-loss.js';
import { continuationExamples } from './continuation-examples.js';
import { readableQuestions, type ProbeContext, type ProbeSet } from './probe-set.js';

/** A question with its right answer. */
export interface ProbeAnswer {
  /** The text before the answer. */
  readonly prompt: string;
  /** As it follows the prompt, with the space between them. */
  readonly answer: string;
}

/**
 * Questions scored by the log probability of their right answers: the mean over all tokens of these. Answers that a model
 * would write in other words have no part in it.
 */
export function answerProbeSet(questions: readonly ProbeAnswer[], context: ProbeContext): ProbeSet {
  const readable = readableQuestions(
    questions.map(({ prompt, answer }) => ({ sequences: continuationExamples(context.tokenizer, prompt, [answer]) })),
    context,
  );
  const sequences = readable.flatMap((each) => each.sequences);
  return {
    measure: { name: 'answer log probability', unit: 'nats a token', better: 'higher' },
    samples: readable.length,
    sequences,
    score(logProbabilities) {
      const { loss, error } = meanLossOf(sequences, logProbabilities);
      return { score: -loss, error };
    },
  };
}
