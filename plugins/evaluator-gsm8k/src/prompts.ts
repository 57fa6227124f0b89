import { createPythonRandom } from './python-random.js';

export interface Problem {
  readonly question: string;
  /** With its reasoning, `<<...>>` and `#### N`. */
  readonly answer: string;
}

/** A problem as the model is asked it. */
export interface Task {
  /** Its place in the file. */
  readonly index: number;
  readonly problem: Problem;
  readonly prompt: string;
}

export const profiles = {
  /** lm-evaluation-harness 0.4's task gsm8k. */
  current: { stop: ['Question:', '</s>', '<|im_end|>'] },
  /** The first Open LLM Leaderboard's: lm-evaluation-harness 0.3. */
  v1: { stop: [':', 'Question:', 'Question'] },
} as const;
export type Profile = keyof typeof profiles;

export interface TaskOptions {
  readonly profile: Profile;
  readonly shots: number;
  readonly limit?: number | undefined;
}

/**
 * The problems in the order and with the examples that the harness gives them: `current` goes through the file, drawing
 * examples with seed 1234; `v1` shuffles it with seed 42 and draws on from there.
 */
export function tasksOf(problems: readonly Problem[], examples: readonly Problem[], options: TaskOptions): Task[] {
  const { profile, shots, limit = problems.length } = options;
  const random = createPythonRandom(profile === 'current' ? 1234 : 42);
  const order = problems.map((_, index) => index);
  if (profile === 'v1') random.shuffle(order);
  return order.slice(0, limit).map((index) => {
    const problem = problems[index]!;
    const drawn = shots === 0 ? [] : random.sample(examples.length, shots);
    const parts = drawn.map((at) => `${ask(examples[at]!)} ${examples[at]!.answer}`);
    return { index, problem, prompt: [...parts, ask(problem)].join('\n\n') };
  });
}

const ask = ({ question }: Problem): string => `Question: ${question}\nAnswer:`;
