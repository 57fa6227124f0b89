import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { systemColumns } from './conversation-columns.js';
import { messagesFormat } from './messages.js';
import { roleOfName } from './speakers.js';
import { isRecord, listIn, notTexts, type Row } from './row-parts.js';

const schema = z.strictObject({
  prompt: z.string().default('prompt').describe('The key of the prompt.'),
  completion: z.string().default('completion').describe('The key of the completion.'),
});
/** As a config writes them. */
export type PromptCompletionOptions = z.input<typeof schema>;

/**
 * `prompt` and `completion`, one after the other as they are: a space between them belongs to one of them. As lists of
 * messages (TRL's) they are a conversation of which the completion is learnt.
 */
export const promptCompletionFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'prompt_completion',
  schema,
  shape: '{ prompt, completion } or { prompt: [{ role, content }, ...], completion: [{ role, content }] }',
  matches: (row) => 'prompt' in row && 'completion' in row,
  columns: (row, options) => [
    options.prompt,
    options.completion,
    ...(turnsIn(row, options) !== undefined ? ['tools', ...systemColumns] : []),
  ],
  read(row, options) {
    const [prompt, completion] = [row[options.prompt], row[options.completion]];
    const turns = turnsIn(row, options);
    if (turns !== undefined) return readConversation(row, ...turns);
    if (Array.isArray(prompt) !== Array.isArray(completion))
      return {
        skip: `of "${options.prompt}" and "${options.completion}" one is a list; expected two texts, or two lists of messages`,
      };
    const fault = notTexts(row, [options.prompt, options.completion]);
    if (fault !== undefined) return { skip: fault };
    return completion === ''
      ? { skip: 'the completion is empty' }
      : { prompt: prompt as string, completion: completion as string };
  },
};

/** The messages of both, where they are lists, or texts that are JSON of turns, as columns of CSV and Parquet hold them. */
function turnsIn(
  row: Row,
  options: z.infer<typeof schema>,
): [prompt: readonly unknown[], completion: readonly unknown[]] | undefined {
  const [prompt, completion] = [row[options.prompt], row[options.completion]];
  if (Array.isArray(prompt) && Array.isArray(completion)) return [prompt, completion];
  const [before, after] = [listIn(prompt), listIn(completion)];
  const areTurns = (list: readonly unknown[]): boolean =>
    list.length > 0 && list.every((turn) => isRecord(turn) && 'role' in turn && 'content' in turn);
  return before && after && areTurns(before) && areTurns(after) ? [before, after] : undefined;
}

/** The turns of the prompt are context only. */
function readConversation(row: Row, prompt: readonly unknown[], completion: readonly unknown[]) {
  const before = prompt.map((turn) => (isRecord(turn) && roleIs(turn, 'assistant') ? { ...turn, weight: 0 } : turn));
  return messagesFormat.read({ ...row, messages: [...before, ...completion] }, { column: 'messages' });
}

const roleIs = ({ role }: Row, wanted: string): boolean => typeof role === 'string' && roleOfName(role) === wanted;
