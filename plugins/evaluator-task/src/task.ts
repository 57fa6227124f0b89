import {
  answerProbeSet,
  choiceProbeSet,
  distinctText,
  generateAnswers,
  readQuestions,
  scoreChoices,
  summarizeSamples,
  TrainerError,
  type EvaluationContext,
  type EvaluatorContribution,
  type Sample,
} from '@glulam/trainer';
import { z } from 'zod';
import { choiceReader, type Asked } from './choice-questions.js';
import { createSampler, type Example } from './few-shot.js';
import { readTaskFile, type Task } from './task-file.js';
import { UnusableRow, type Row } from './template.js';
import { textReader, textScores } from './text-questions.js';

const schema = z.strictObject({
  file: z.string().describe('The task file, YAML or JSON.'),
  data: z.string().optional().describe("Questions, in place of the task file's own."),
  examples: z.string().optional().describe("Examples for the prompt, in place of the task file's own."),
  limit: z.int().positive().optional().describe('Only so many questions.'),
  batch: z
    .int()
    .positive()
    .default(8)
    .describe(
      'Questions at a time where answers are generated: more take less time, and memory for their keys and values.',
    ),
});
/** Options as a config writes them. */
export type TaskInput = z.input<typeof schema>;
type TaskOptions = z.output<typeof schema>;

/**
 * An evaluator from a file, in lm-evaluation-harness's words: `multiple_choice` gives `acc` and `acc_norm`, by the
 * choices' log probabilities and by those over their lengths; `generate_until` the share of right answers by each way of
 * finding them. Each with its standard error.
 */
export const taskEvaluator: EvaluatorContribution<TaskOptions> = {
  kind: 'task',
  schema,
  paths: ['file', 'data', 'examples'],
  open(options) {
    // Read when first asked, so that a config is checked without its files.
    let opened: Awaited<ReturnType<typeof openTask>> | undefined;
    return {
      async evaluate(context) {
        opened ??= await openTask(options, context);
        const { ask, scores, skipped } = opened;
        const samples = await ask(context);
        return { ...summarizeSamples(context, samples, scores), ...(skipped > 0 ? { skipped } : {}) };
      },
    };
  },
  async probeSet({ limit, ...options }, context) {
    const task = readTaskFile(options.file, options);
    const few = { limit: limit ?? context.limit };
    if (task.output_type === 'multiple_choice') {
      const { questions } = await readTask(task, choiceReader(task), few, context);
      return choiceProbeSet(questions, context);
    }
    const { questions } = await readTask(task, textReader(task), few, context);
    return answerProbeSet(questions, context);
  },
};

interface OpenTask {
  readonly scores: readonly string[];
  readonly skipped: number;
  ask(context: EvaluationContext): Promise<Sample[]>;
}

async function openTask(options: TaskOptions, context: EvaluationContext): Promise<OpenTask> {
  const task = readTaskFile(options.file, options);
  if (task.output_type === 'multiple_choice') {
    const scores = task.metric_list.map(({ metric }) => metric);
    const { questions, skipped } = await readTask(task, choiceReader(task), options, context);
    return { scores, skipped, ask: (at) => scoreChoices(at, questions, { scores }) };
  }
  const scores = textScores(task);
  const { until = [task.fewshot_delimiter], max_gen_toks: maxNewTokens } = task.generation_kwargs;
  const { questions, skipped } = await readTask(task, textReader(task), options, context);
  const settings = { scores, maxNewTokens, stop: until, batch: options.batch };
  return { scores, skipped, ask: (at) => generateAnswers(at, questions, settings) };
}

type ReadingContext = Pick<EvaluationContext, 'warn' | 'signal'>;

/** The questions of a task, with their prompts. */
async function readTask<Question>(
  task: Task,
  read: (row: Row) => Asked<Question>,
  { limit }: Pick<TaskOptions, 'limit'>,
  context: ReadingContext,
): Promise<{ readonly questions: Question[]; readonly skipped: number }> {
  const asked = (
    value: unknown,
  ): { readonly row: { row: Row; asked: Asked<Question> } } | { readonly skip: string } => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { skip: 'the row is no object' };
    try {
      return { row: { row: value as Row, asked: read(value as Row) } };
    } catch (error) {
      if (error instanceof UnusableRow) return { skip: error.message };
      throw error;
    }
  };
  const { rows, skipped } = await readQuestions(task.data, asked, context);
  const excludesOwn = task.examples === undefined || task.examples === task.data;
  const pool = excludesOwn || task.num_fewshot === 0 ? rows : await readExamples(task.examples!, asked, context);
  const { description, fewshot_delimiter: between, target_delimiter: delimiter } = task;
  const examples = pool.map(({ row, asked: { text, answer } }): Example => {
    return { text: `${text}${delimiter}${answer}${between}`, key: distinctText(row) };
  });
  const examplesOf = createSampler(task, examples, { excludesOwn });
  const questions = rows.slice(0, limit).map(({ row, asked: { text, question } }) => {
    const drawn = examplesOf({ key: distinctText(row) }).map((example) => example.text);
    return question(description + drawn.join('') + text);
  });
  return { questions, skipped };
}

/** One that cannot be used would change all draws behind it, and is refused. */
async function readExamples<T>(
  file: string,
  read: (value: unknown) => { readonly row: T } | { readonly skip: string },
  { signal }: ReadingContext,
): Promise<readonly T[]> {
  const { rows, skipped } = await readQuestions(file, read, { signal });
  if (skipped === 0) return rows;
  throw new TrainerError(
    'DATA_INVALID',
    `${file} has ${skipped} rows that cannot be examples; mend or remove them, or see the reasons by naming the file as data`,
  );
}
