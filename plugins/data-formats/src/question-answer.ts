import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { isText } from './row-parts.js';

const schema = z.strictObject({
  question: z
    .string()
    .optional()
    .describe('The key of the question; default: `question`, or `user` where a row has `user` and `assistant`.'),
  answer: z.string().optional().describe('The key of the answer; default: `answer`, or `assistant` likewise.'),
});
/** As a config writes them. */
export type QuestionAnswerOptions = z.input<typeof schema>;

/** MetaMathFewshot and GSM8K: `question` and `answer`; an earlier revision of the former has `user` and `assistant`. */
export const questionAnswerFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'question_answer',
  schema,
  shape: '{ question, answer } or { user, assistant }',
  matches: (row) => ('question' in row && 'answer' in row) || ('user' in row && 'assistant' in row),
  read(row, options) {
    const earlier = row['question'] === undefined && row['user'] !== undefined;
    const questionKey = options.question ?? (earlier ? 'user' : 'question');
    const answerKey = options.answer ?? (earlier ? 'assistant' : 'answer');
    const question = row[questionKey];
    const answer = row[answerKey];
    if (typeof question !== 'string' || typeof answer !== 'string')
      return { skip: `"${questionKey}" and "${answerKey}" are not both texts` };
    return isText(answer) ? { question, answer } : { skip: 'the answer is empty' };
  },
};
