import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({
  prompt: z.string().default('prompt').describe('The key of the prompt.'),
  completion: z.string().default('completion').describe('The key of the completion.'),
});
/** As a config writes them. */
export type PromptCompletionOptions = z.input<typeof schema>;

/** `prompt` and `completion`, set one behind the other as they are: a space between them belongs to one of them. */
export const promptCompletionFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'prompt_completion',
  schema,
  shape: '{ prompt, completion }',
  matches: (row) => 'prompt' in row && 'completion' in row,
  read(row, options) {
    const prompt = row[options.prompt];
    const completion = row[options.completion];
    if (typeof prompt !== 'string' || typeof completion !== 'string')
      return { skip: `"${options.prompt}" and "${options.completion}" are not both texts` };
    return completion === '' ? { skip: 'the completion is empty' } : { prompt, completion };
  },
};
