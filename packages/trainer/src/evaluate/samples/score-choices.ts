import { scoreContinuations } from '@glulam/model';
import type { EvaluationContext } from '../evaluator.js';
import type { Sample } from './sample.js';

/** A question with answers to choose from. */
export interface ChoiceQuestion {
  /** The text before the choices. */
  readonly prompt: string;
  /** Each as it follows the prompt, with the space between them. */
  readonly choices: readonly string[];
  /** What would be right, for people; `grade` decides. */
  readonly expected: unknown;
  /** What the choices' log probabilities are worth, a number for each score. */
  grade(logProbabilities: readonly number[]): Sample['scores'];
}

/**
 * The log probability of each choice, summed over its tokens, question by question. Each is kept in the context's log; one
 * that is too long for the model is not asked and scores 0.
 *
 * @param names of the scores
 */
export async function scoreChoices(
  context: EvaluationContext,
  questions: readonly ChoiceQuestion[],
  { scores: names }: { readonly scores: readonly string[] },
): Promise<Sample[]> {
  const { decoder, tokenizer, signal } = context;
  const { maxPositions } = decoder.spec;
  const log = await context.openSamples?.();
  const samples: Sample[] = [];
  for (const [id, { prompt, choices, expected, grade }] of questions.entries()) {
    signal.throwIfAborted();
    const asked = { id, prompt, choices, expected };
    let sample = log?.recall(asked);
    if (sample === undefined) {
      const isTooLong = choices.some((choice) => tokenizer.encode(prompt + choice).length > maxPositions);
      if (isTooLong) sample = { ...asked, scores: Object.fromEntries(names.map((name) => [name, 0])) };
      else {
        const output = await scoreContinuations(decoder, tokenizer, prompt, choices, { signal });
        sample = { ...asked, output, scores: grade(output) };
      }
      log?.write(sample);
    }
    samples.push(sample);
    context.onProgress?.(samples.length, questions.length);
  }
  return samples;
}
