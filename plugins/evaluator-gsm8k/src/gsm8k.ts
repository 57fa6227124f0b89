import {
  answerProbeSet,
  generateAnswers,
  readQuestions,
  rowsOf,
  summarizeSamples,
  summaryNames,
  TrainerError,
  type EvaluationContext,
  type EvaluatorContribution,
  type TextQuestion,
} from '@glulam/trainer';
import { z } from 'zod';
import { profiles, type Problem, type Profile } from './profiles.js';
import { tasksOf, type Task } from './prompts.js';

const schema = z.strictObject({
  file: z.string().describe("Rows of `{ question, answer }`, as GSM8K's test set."),
  examples: z
    .string()
    .optional()
    .describe("As GSM8K's training set: where examples for the prompt are drawn; `cot` has its own."),
  shots: z.int().min(0).optional().describe('Examples in the prompt: 5 by default, 8 of `cot`.'),
  profile: z
    .enum(['current', 'cot', 'v1'])
    .default('current')
    .describe(
      "Whose prompts and rules: lm-evaluation-harness's tasks `gsm8k` and `gsm8k_cot` of today, or the first Open LLM Leaderboard's.",
    ),
  limit: z.int().positive().optional().describe('Only so many problems.'),
  batch: z
    .int()
    .positive()
    .default(8)
    .describe('Problems at a time: more take less time, and memory for their keys and values.'),
});
type Gsm8kOptions = z.output<typeof schema>;
/** As a config writes them. */
export type Gsm8kInput = z.input<typeof schema>;

const problem = z.looseObject({ question: z.string(), answer: z.string() });

/**
 * Grade-school problems (Cobbe et al. 2021), answered greedily. `current` and `cot` give `strict` and `flexible`, shares of
 * right answers by the harness's two ways of finding a number, `v1` gives `accuracy`; each with its standard error.
 */
export const gsm8kEvaluator: EvaluatorContribution<Gsm8kOptions> = {
  kind: 'gsm8k',
  schema,
  paths: ['file', 'examples'],
  scoreNames: ({ profile }) => [...summaryNames(Object.keys(profiles[profile].rules)), 'skipped'],
  open(options) {
    const profile: Profile = profiles[options.profile];
    const scores = Object.keys(profile.rules);
    // Read when first asked, so that a config is checked without its files.
    let opened: Awaited<ReturnType<typeof open>> | undefined;
    return {
      async evaluate(context) {
        opened ??= await open(options, profile, context);
        const { questions, skipped } = opened;
        const { stop } = profile;
        const samples = await generateAnswers(context, questions, {
          scores,
          maxNewTokens: 256,
          stop,
          batch: options.batch,
        });
        return { ...summarizeSamples(context, samples, scores), ...(skipped > 0 ? { skipped } : {}) };
      },
    };
  },
  async probeSet(options, context) {
    const profile: Profile = profiles[options.profile];
    const { tasks } = await readTasks({ ...options, limit: options.limit ?? context.limit }, profile, context);
    const questions = tasks.map(({ prompt, problem: { answer } }) => ({ prompt, answer: ` ${profile.right(answer)}` }));
    return answerProbeSet(questions, context);
  },
};

type ReadingContext = Pick<EvaluationContext, 'warn' | 'signal'>;

async function readTasks(
  options: Gsm8kOptions,
  profile: Profile,
  context: ReadingContext,
): Promise<{ readonly tasks: readonly Task[]; readonly skipped: number }> {
  const { shots = profile.shots } = options;
  const examples = await examplesOf(options, profile, shots, context);
  const { rows, skipped } = await readQuestions(options.file, rowsOf<Problem>(problem), context);
  return { tasks: tasksOf(rows, examples, { ...options, shots }), skipped };
}

async function open(
  options: Gsm8kOptions,
  profile: Profile,
  context: ReadingContext,
): Promise<{ readonly questions: readonly TextQuestion[]; readonly skipped: number }> {
  const { tasks, skipped } = await readTasks(options, profile, context);
  const questions = tasks.map(({ prompt, problem: { answer } }) => {
    const expected = profile.expected(answer);
    return {
      prompt,
      expected,
      grade(text: string) {
        const found = Object.fromEntries(Object.entries(profile.rules).map(([name, { find }]) => [name, find(text)]));
        const right = Object.entries(profile.rules).map(([name, { isRight }]) => {
          const given = found[name] ?? null;
          return [name, given !== null && isRight(given, expected) ? 1 : 0];
        });
        return { found, scores: Object.fromEntries(right) as Record<string, number> };
      },
    };
  });
  return { questions, skipped };
}

/** The examples to draw from. One that cannot be used would change all draws behind it, and is refused. */
async function examplesOf(
  { examples, profile: name }: Gsm8kOptions,
  { examples: own }: Profile,
  shots: number,
  { signal }: ReadingContext,
): Promise<readonly Problem[]> {
  const refuse = (fault: string): TrainerError => new TrainerError('CONFIG_INVALID', `the evaluator gsm8k ${fault}`);
  if (own !== undefined) {
    if (examples !== undefined)
      throw refuse(`has examples of its own in the profile ${name}; leave the option examples out`);
    if (shots > own.length) throw refuse(`has ${own.length} examples in the profile ${name}; got shots ${shots}`);
    return own;
  }
  if (examples === undefined) {
    if (shots === 0) return [];
    throw refuse(
      `draws ${shots} examples for its prompts; name a file of them as examples, set shots to 0, or choose the profile cot, which has its own`,
    );
  }
  const { rows, skipped } = await readQuestions(examples, rowsOf<Problem>(problem), { signal });
  if (skipped > 0)
    throw new TrainerError(
      'DATA_INVALID',
      `${examples} has ${skipped} rows that are no problems; expected { question, answer } as texts: mend or remove them`,
    );
  if (rows.length >= shots) return rows;
  throw new TrainerError(
    'DATA_INVALID',
    `${examples} has ${rows.length} problems; expected at least ${shots}, one a shot`,
  );
}
