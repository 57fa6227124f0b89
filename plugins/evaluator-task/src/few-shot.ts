import { createPythonRandom, TrainerError } from '@glulam/trainer';
import type { Task } from './task-file.js';

/** A row as an example, and what tells it from others. */
export interface Example {
  readonly text: string;
  readonly key: string;
}

/**
 * Gives the examples of one question after another, as lm-evaluation-harness draws them: with seed 1234 throughout, or
 * always the first. Where questions and examples are one file, a question is not among its own examples.
 */
export function createSampler(
  { num_fewshot: count, fewshot_config: { sampler } }: Pick<Task, 'num_fewshot' | 'fewshot_config'>,
  pool: readonly Example[],
  { excludesOwn }: { readonly excludesOwn: boolean },
): (question: Pick<Example, 'key'>) => readonly Example[] {
  const needed = count + (excludesOwn ? 1 : 0);
  if (count > 0 && pool.length < needed)
    throw new TrainerError(
      'DATA_INVALID',
      `there are ${pool.length} examples to draw ${count} from; expected at least ${needed}`,
    );
  const random = createPythonRandom(1234);
  const draw = (from: readonly Example[], size: number): Example[] =>
    random.sample(from.length, size).map((at) => from[at]!);
  return (question) => {
    if (count === 0) return [];
    const others = (list: readonly Example[]): Example[] => list.filter(({ key }) => key !== question.key);
    if (sampler === 'first_n') return (excludesOwn ? others(pool) : pool).slice(0, count);
    if (!excludesOwn) return draw(pool, count);
    // One more is drawn than is needed. Where the same row is there more than once, too few may be left.
    const drawn = others(draw(pool, needed)).slice(0, count);
    return drawn.length === count ? drawn : draw(others(pool), count);
  };
}
