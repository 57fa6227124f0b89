import type { ChatMessage } from '@glulam/model';
import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { isRecord, isText } from './row-parts.js';

const schema = z.strictObject({
  column: z.string().default('conversations').describe('The key of the list of turns.'),
});
/** As a config writes them. */
export type ShareGptOptions = z.input<typeof schema>;

// What exports of ShareGPT call the speakers. A Map: names such as "constructor" are in no row's power.
const roles = new Map([
  ['system', 'system'],
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['chatgpt', 'assistant'],
  ['assistant', 'assistant'],
  ['bing', 'assistant'],
  ['bard', 'assistant'],
]);

/**
 * ShareGPT's `conversations: [{ from, value }]`. They were cut from longer ones: some begin with the assistant, whose
 * first turns answer nothing and are left out; some lack turns, so that one speaker comes twice in a row, whose turns
 * become one. Both are noted.
 */
export const shareGptFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'sharegpt',
  schema,
  shape: '{ conversations: [{ from: human | gpt | system, value }, ...] }',
  matches: ({ conversations }) =>
    Array.isArray(conversations) && conversations.every((turn) => isRecord(turn) && 'from' in turn),
  read(row, { column }) {
    const conversation = row[column];
    if (!Array.isArray(conversation)) return { skip: `"${column}" is not a list of turns` };
    if (conversation.length === 0) return { skip: 'the conversation is empty' };
    const notes = new Set<string>();
    const turns: ChatMessage[] = [];
    for (const turn of conversation as unknown[]) {
      const role = isRecord(turn) && typeof turn['from'] === 'string' ? roles.get(turn['from']) : undefined;
      if (role === undefined) return { skip: `a turn's "from" is none of ${[...roles.keys()].join(', ')}` };
      const content = (turn as { value?: unknown }).value;
      if (typeof content !== 'string') return { skip: 'a turn\'s "value" is not a text' };
      const last = turns.at(-1);
      if (!isText(content)) notes.add('a turn without text: left out');
      else if (role === 'assistant' && turns.every((each) => each.role === 'system'))
        notes.add("the first turn was the assistant's: left out");
      else if (last?.role === role) {
        turns[turns.length - 1] = { role, content: `${last.content}\n\n${content}` };
        notes.add('turns of one speaker in a row: joined');
      } else turns.push({ role, content });
    }
    if (turns.length === 0) return { skip: 'the conversation is empty but for what answers nothing' };
    return { messages: turns, notes: [...notes] };
  },
};
