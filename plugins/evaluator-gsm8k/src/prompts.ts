import { createPythonRandom } from '@glulam/trainer';
import { profiles, type Problem, type Profile, type ProfileName } from './profiles.js';

/** A problem as the model is asked it. */
export interface Task {
  /** Its place in the file. */
  readonly index: number;
  readonly problem: Problem;
  readonly prompt: string;
}

interface TaskOptions {
  readonly profile: ProfileName;
  readonly shots: number;
  readonly limit?: number | undefined;
}

/**
 * The problems in the order and with the examples that the harness gives them: `current` goes through the file, drawing
 * examples with seed 1234; `v1` shuffles it with seed 42 and draws on from there; `cot` has the same examples always.
 */
export function tasksOf(problems: readonly Problem[], examples: readonly Problem[], options: TaskOptions): Task[] {
  const { shots, limit = problems.length } = options;
  const profile: Profile = profiles[options.profile];
  const random = createPythonRandom(options.profile === 'v1' ? 42 : 1234);
  const order = problems.map((_, index) => index);
  if (options.profile === 'v1') random.shuffle(order);
  const drawn = (): readonly Problem[] => {
    if (shots === 0) return [];
    return profile.examples?.slice(0, shots) ?? random.sample(examples.length, shots).map((at) => examples[at]!);
  };
  return order.slice(0, limit).map((index) => {
    const problem = problems[index]!;
    const parts = drawn().map(({ question, answer }) => `${profile.ask(question)} ${answer}`);
    return { index, problem, prompt: [...parts, profile.ask(problem.question)].join('\n\n') };
  });
}
