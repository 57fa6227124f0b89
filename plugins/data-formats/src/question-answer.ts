import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { isText, notTexts, type Row } from './row-parts.js';

const schema = z.strictObject({
  question: z
    .string()
    .optional()
    .describe('The key of the question; default: `question`, or as the row has them `user` or `query`.'),
  answer: z
    .string()
    .optional()
    .describe('The key of the answer; default: `answer`, or as the row has them `assistant` or `response`.'),
});
/** As a config writes them. */
export type QuestionAnswerOptions = z.input<typeof schema>;

// The first pair that a row has, whole or in part.
const pairs = [
  ['question', 'answer'],
  ['user', 'assistant'],
  ['question', 'response'],
  ['query', 'response'],
] as const;

/** GSM8K's and MetaMathFewshot's `question` and `answer`, and the names that other data sets have for them. */
export const questionAnswerFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'question_answer',
  schema,
  shape: '{ question, answer }, { user, assistant }, { question, response } or { query, response }',
  matches: (row) => pairs.some(([question, answer]) => question in row && answer in row),
  columns: keysOf,
  ask(question, columns, answer, options) {
    const [questionKey, answerKey] = keysOf({}, options);
    // `data.prompt` may have the question under any of its names.
    const names = options.question === undefined ? pairs.map(([name]) => name) : [questionKey];
    return { ...columns, ...Object.fromEntries(names.map((name) => [name, question])), [answerKey]: answer };
  },
  read(row, options) {
    const [questionKey, answerKey] = keysOf(row, options);
    const fault = notTexts(row, [questionKey, answerKey]);
    if (fault !== undefined) return { skip: fault };
    const [question, answer] = [row[questionKey] as string, row[answerKey] as string];
    return isText(answer) ? { question, answer } : { skip: 'the answer is empty' };
  },
};

function keysOf(row: Row, options: z.infer<typeof schema>): [question: string, answer: string] {
  const given = ([question, answer]: (typeof pairs)[number]): boolean => row[question] !== undefined && answer in row;
  const [question, answer] = pairs.find(given) ?? pairs[0];
  return [options.question ?? question, options.answer ?? answer];
}
