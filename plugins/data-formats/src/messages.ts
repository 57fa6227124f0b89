import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { readBeside, systemColumns, withSystem } from './conversation-columns.js';
import { roleOfName } from './speakers.js';
import { listIn, notList } from './row-parts.js';
import { hasTurns, isEmpty, turnColumn } from './turn-list.js';
import { readTurn, type Turn } from './turn-parts.js';

const schema = z.strictObject({
  column: z
    .string()
    .optional()
    .describe('The key of the list of messages; default: `messages`, `conversations` or `conversation`.'),
});
/** As a config writes them. */
export type MessagesOptions = z.input<typeof schema>;

const fallback = 'messages';

/** OpenAI's `messages: [{ role, content }]`; roles and further keys are the chat template's to show. */
export const messagesFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'messages',
  schema,
  shape: '{ messages: [{ role, content }, ...], tools?, system? }',
  matches: (row) => hasTurns(row, 'role', fallback),
  columns: (row, { column }) => [turnColumn(row, column, fallback), ...systemColumns, 'tools'],
  ask: (question, columns, answer, { column = fallback }) => ({
    ...columns,
    [column]: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ],
  }),
  read(row, options) {
    const column = turnColumn(row, options.column, fallback);
    const messages = listIn(row[column]);
    if (messages === undefined) return { skip: notList(column, row[column], 'messages') };
    if (messages.length === 0) return { skip: 'the conversation is empty' };
    const beside = readBeside(row);
    if ('skip' in beside) return beside;
    const notes = new Set<string>();
    const turns: Turn[] = [];
    for (const message of messages) {
      const turn = readTurn(message, 'role', roleOfName);
      if ('skip' in turn) return turn;
      if (turn.message.role !== (message as { role: string }).role)
        notes.add('roles such as human, gpt or USER: read as user and assistant');
      if (turn.message.role === 'assistant' && isEmpty(turn))
        notes.add('a turn of the assistant without text: left out');
      else turns.push(turn);
    }
    return conversationOf(turns, beside, notes);
  },
};

/** The row's text of its turns and of what stands beside them. */
export function conversationOf(
  turns: readonly Turn[],
  { system, tools }: Exclude<ReturnType<typeof readBeside>, { readonly skip: string }>,
  notes: ReadonlySet<string>,
): ReturnType<DataFormat['read']> {
  if (turns.length === 0) return { skip: 'the conversation is empty but for turns without text' };
  const messages = withSystem(
    turns.map(({ message }) => message),
    system,
  );
  if ('skip' in messages) return messages;
  const before = messages.length - turns.length;
  const contextOnly = turns.flatMap(({ learnt, message }, i) =>
    !learnt && message.role === 'assistant' ? [i + before] : [],
  );
  return {
    messages,
    ...(tools === undefined ? {} : { tools }),
    ...(contextOnly.length === 0 ? {} : { contextOnly }),
    ...(notes.size === 0 ? {} : { notes: [...notes] }),
  };
}
