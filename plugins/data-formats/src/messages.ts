import type { ChatMessage } from '@glulam/model';
import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { isRecord } from './row-parts.js';

const schema = z.strictObject({
  column: z.string().default('messages').describe('The key of the list of messages.'),
});
/** As a config writes them. */
export type MessagesOptions = z.input<typeof schema>;

/** OpenAI's `messages: [{ role, content }]`; roles are the chat template's to know. */
export const messagesFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'messages',
  schema,
  shape: '{ messages: [{ role, content }, ...] }',
  matches: ({ messages }) =>
    Array.isArray(messages) && messages.every((message) => isRecord(message) && 'role' in message),
  read(row, { column }) {
    const messages = row[column];
    if (!Array.isArray(messages)) return { skip: `"${column}" is not a list of messages` };
    if (messages.length === 0) return { skip: 'the conversation is empty' };
    const turns: ChatMessage[] = [];
    for (const message of messages as unknown[]) {
      if (!isRecord(message) || typeof message['role'] !== 'string') return { skip: 'a message has no role' };
      const { role, content, tool_calls: calls } = message;
      // Left out, the conversation would go on from something that was never said.
      if (Array.isArray(calls) && calls.length > 0) return { skip: 'a message calls tools, which are not read' };
      if (typeof content !== 'string') return { skip: "a message's content is not a text" };
      turns.push({ role, content });
    }
    return { messages: turns };
  },
};
