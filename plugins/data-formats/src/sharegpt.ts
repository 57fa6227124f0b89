import { parseJson, type DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { readBeside, systemColumns } from './conversation-columns.js';
import { conversationOf } from './messages.js';
import { callers, roleOfSpeaker, speakerNames } from './speakers.js';
import { isRecord, listIn, notList } from './row-parts.js';
import { hasTurns, isEmpty, turnColumn } from './turn-list.js';
import { quoted, readTurn, type Turn } from './turn-parts.js';

const schema = z.strictObject({
  column: z
    .string()
    .optional()
    .describe('The key of the list of turns; default: `messages`, `conversations` or `conversation`.'),
});
/** As a config writes them. */
export type ShareGptOptions = z.input<typeof schema>;

const fallback = 'conversations';

/**
 * ShareGPT's `conversations: [{ from, value }]`. They were cut from longer ones: some begin with the assistant, whose
 * first turns answer nothing and are left out; some lack turns, so that one speaker comes twice in a row, whose turns
 * become one. Both are noted. A turn from `function_call` is the assistant's, with the calls in its JSON.
 */
export const shareGptFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'sharegpt',
  schema,
  shape: '{ conversations: [{ from: human | gpt | system, value }, ...], tools?, system? }',
  matches: (row) => hasTurns(row, 'from', fallback),
  columns: (row, { column }) => [turnColumn(row, column, fallback), ...systemColumns, 'tools'],
  ask: (question, columns, answer, { column = fallback }) => ({
    ...columns,
    [column]: [
      { from: 'human', value: question },
      { from: 'gpt', value: answer },
    ],
  }),
  read(row, options) {
    const column = turnColumn(row, options.column, fallback);
    const conversation = listIn(row[column]);
    if (conversation === undefined) return { skip: notList(column, row[column], 'turns') };
    if (conversation.length === 0) return { skip: 'the conversation is empty' };
    const beside = readBeside(row);
    if ('skip' in beside) return beside;
    const notes = new Set<string>();
    const turns: Turn[] = [];
    for (const value of conversation) {
      const read = readShareGptTurn(value);
      if ('skip' in read) return read;
      const last = turns.at(-1);
      if (isEmpty(read)) notes.add('a turn without text: left out');
      else if (
        read.message.role === 'assistant' &&
        turns.every(({ message }) => message.role === 'system' || message.role === 'developer')
      )
        notes.add("the first turn was the assistant's: left out");
      else if (last !== undefined && canJoin(last, read)) {
        const content = `${last.message.content as string}\n\n${read.message.content as string}`;
        turns[turns.length - 1] = { ...last, message: { ...read.message, ...last.message, content } };
        notes.add('turns of one speaker in a row: joined');
      } else turns.push(read);
    }
    if (turns.length === 0) return { skip: 'the conversation is empty but for what answers nothing' };
    const text = conversationOf(turns, beside, notes);
    return 'skip' in text ? text : { ...text, notes: [...notes] };
  },
};

function readShareGptTurn(value: unknown): Turn | { readonly skip: string } {
  const name = isRecord(value) ? value['from'] : undefined;
  if (typeof name === 'string' && roleOfSpeaker(name) === undefined)
    return { skip: `a turn's "from" is ${quoted(name)}, none of ${speakerNames()}` };
  const turn = readTurn(value, 'from', roleOfSpeaker);
  if ('skip' in turn || typeof name !== 'string' || !callers.includes(name.toLowerCase())) return turn;
  const calls = callsIn(turn.message.content);
  if (calls === undefined)
    return { skip: 'the text of a function_call turn is not JSON of { name, arguments } or of a list of them' };
  return { ...turn, message: { ...turn.message, content: '', tool_calls: calls } };
}

/** A `function_call` turn's JSON as `tool_calls`, which is what templates know. */
function callsIn(content: unknown): readonly unknown[] | undefined {
  if (typeof content !== 'string') return undefined;
  try {
    const parsed = parseJson(content);
    const calls = Array.isArray(parsed) ? (parsed as unknown[]) : [parsed];
    return calls.length > 0 && calls.every((call) => isRecord(call) && typeof call['name'] === 'string')
      ? calls.map((call) => ({ type: 'function', function: call }))
      : undefined;
  } catch {
    return undefined;
  }
}

const joined: readonly string[] = ['user', 'assistant', 'system'];
/** What belongs to one turn alone. */
const ownKeys: readonly string[] = ['tool_calls', 'function_call', 'reasoning_content', 'name'];

function canJoin(last: Turn, next: Turn): boolean {
  return (
    last.message.role === next.message.role &&
    joined.includes(last.message.role) &&
    last.learnt === next.learnt &&
    [last, next].every(
      ({ message }) =>
        typeof message.content === 'string' &&
        ownKeys.every((key) => message[key] === undefined || message[key] === null),
    )
  );
}
