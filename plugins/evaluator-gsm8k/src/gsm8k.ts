import { readFileSync } from 'node:fs';
import { generateMany, type DecoderShape, type GenerationRequest, type Tokenizer } from '@glulam/model';
import { meanScore, TrainerError, type EvaluatorContribution } from '@glulam/trainer';
import { z } from 'zod';
import { flexibleAnswer, sameAnswer, sameFirstAnswer, strictAnswer } from './answers.js';
import { profiles, tasksOf, type Problem, type Task } from './prompts.js';

const schema = z.strictObject({
  file: z.string().describe("JSONL of `{ question, answer }`, as GSM8K's test set."),
  examples: z.string().optional().describe("As GSM8K's training set: where examples for the prompt are drawn."),
  shots: z.int().min(0).default(5).describe('Examples in the prompt.'),
  profile: z
    .enum(['current', 'v1'])
    .default('current')
    .describe("Whose prompts and rules: lm-evaluation-harness's of today, or those of the first Open LLM Leaderboard."),
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

const maxNewTokens = 256;

/**
 * Grade-school problems (Cobbe et al. 2021), answered greedily. `current` gives `strict` and `flexible`, shares of right
 * answers by the harness's two ways of finding a number, `v1` gives `accuracy`; each with its standard error.
 */
export const gsm8kEvaluator: EvaluatorContribution<Gsm8kOptions> = {
  kind: 'gsm8k',
  schema,
  paths: ['file', 'examples'],
  open(options) {
    // Read when first asked, so that a config is checked without its files.
    let tasks: readonly Task[] | undefined;
    return {
      async evaluate({ decoder, tokenizer, signal }) {
        tasks ??= readTasks(options);
        const names = options.profile === 'v1' ? ['accuracy'] : ['strict', 'flexible'];
        const right: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
        const requests = requestsOf(tasks, tokenizer, decoder.shape);
        const stop = profiles[options.profile].stop;
        const answers = generateMany(decoder, tokenizer, requests, {
          maxNewTokens,
          stop,
          slots: options.batch,
          signal,
        });
        for await (const { index, text } of answers) {
          const { answer } = tasks[index]!.problem;
          // Means do not depend on the order in which answers are finished.
          if (options.profile === 'v1') right['accuracy']![index] = Number(sameFirstAnswer(text, answer));
          else {
            right['strict']![index] = Number(sameAnswer(strictAnswer(text), answer));
            right['flexible']![index] = Number(sameAnswer(flexibleAnswer(text), answer));
          }
        }
        const scores = Object.entries(right).flatMap(([name, values]) => Object.entries(meanScore(name, values)));
        return { ...Object.fromEntries(scores), questions: tasks.length };
      },
    };
  },
};

/** Prompts as they are asked for. */
function* requestsOf(
  tasks: readonly Task[],
  tokenizer: Tokenizer,
  { maxPositions }: DecoderShape,
): Generator<GenerationRequest, void> {
  for (const { prompt } of tasks) {
    const ids = tokenizer.encode(prompt);
    if (ids.length + maxNewTokens > maxPositions) {
      throw new TrainerError(
        'CONFIG_INVALID',
        `a prompt of GSM8K has ${ids.length} tokens, and with ${maxNewTokens} of answer exceeds the model's ${maxPositions} positions; lower evaluate.evaluators' shots`,
      );
    }
    yield { prompt: ids };
  }
}

function readTasks(options: Gsm8kOptions): Task[] {
  const { file, examples, shots } = options;
  if (shots > 0 && examples === undefined) {
    throw new TrainerError(
      'CONFIG_INVALID',
      `evaluate.evaluators: gsm8k draws ${shots} examples for its prompts; name a file of them as examples, or set shots to 0`,
    );
  }
  const drawn = examples === undefined ? [] : readProblems(examples);
  if (drawn.length < shots)
    throw new TrainerError(
      'DATA_INVALID',
      `${examples} has ${drawn.length} problems; expected at least ${shots}, one a shot`,
    );
  return tasksOf(readProblems(file), drawn, options);
}

function readProblems(file: string): Problem[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new TrainerError('DATA_UNREADABLE', `cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  const problems = text
    .split('\n')
    .flatMap((line, index) => (line.trim() === '' ? [] : [parse(line, `${file}:${index + 1}`)]));
  if (problems.length > 0) return problems;
  throw new TrainerError('DATA_EMPTY', `${file} has no problems; expected JSONL, { question, answer } a line`);
}

function parse(line: string, place: string): Problem {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (cause) {
    throw new TrainerError('DATA_INVALID', `${place} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = z.looseObject({ question: z.string(), answer: z.string() }).safeParse(row);
  if (parsed.success) return parsed.data;
  throw new TrainerError('DATA_INVALID', `${place} is no problem: expected { question, answer } as texts`);
}
