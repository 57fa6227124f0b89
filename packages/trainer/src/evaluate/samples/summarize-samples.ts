import { TrainerError } from '../../errors.js';
import type { EvaluationContext } from '../evaluator.js';
import { meanScore } from '../mean-score.js';
import type { Sample } from './sample.js';

/**
 * The mean of each score with its standard error, and the number of `questions`. What went wrong is counted where it
 * did, and told: `NAME_unanswered`, texts in which no answer was found, and `too_long`, questions that the model does not
 * read. Both score as wrong.
 *
 * @throws TrainerError CONFIG_INVALID if no question fits into the model
 */
export function summarizeSamples(
  { warn, decoder }: Pick<EvaluationContext, 'warn' | 'decoder'>,
  samples: readonly Sample[],
  names: readonly string[],
): Record<string, number> {
  const { length } = samples;
  const tooLong = samples.filter(({ output }) => output === undefined).length;
  const positions = `the ${decoder.spec.maxPositions} positions of the model`;
  if (tooLong === length)
    throw new TrainerError(
      'CONFIG_INVALID',
      `all ${length} questions, with what is to follow them, exceed ${positions}; put fewer or shorter examples before them`,
    );
  const counts: Record<string, number> = {};
  for (const name of names) {
    const unanswered = samples.filter(({ found }) => found?.[name] === null).length;
    if (unanswered === 0) continue;
    counts[`${name}_unanswered`] = unanswered;
    if (unanswered === length - tooLong)
      warn?.(`${name}: no answer was found in any of ${unanswered} texts; look at them: they may need another pattern`);
  }
  if (tooLong > 0) {
    counts['too_long'] = tooLong;
    warn?.(`${tooLong} of ${length} questions exceed ${positions} and score as wrong`);
  }
  const means = names.flatMap((name) => {
    const values = samples.map(({ scores }) => scores[name]!);
    return Object.entries(meanScore(name, values));
  });
  return { ...Object.fromEntries(means), questions: length, ...counts };
}

/** The names of all scores that `summarizeSamples` may give. */
export const summaryNames = (names: readonly string[]): string[] => [
  ...names.flatMap((name) => [name, `${name}_stderr`]),
  'questions',
  ...names.map((name) => `${name}_unanswered`),
  'too_long',
];
