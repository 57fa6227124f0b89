import type { ChatMessage } from '@glulam/model';
import { isName, isRecord, kindOf, listIn, type Row } from './row-parts.js';

/** Keys by which data sets say whether a turn is learnt: OpenAI's, Axolotl's and ms-swift's. */
export const learnKeys: readonly string[] = ['weight', 'train', 'training', 'loss'];
/** Axolotl's, which learn a part of a turn. */
const detailKeys: readonly string[] = ['train_detail', 'training_detail'];

/** Keys of what a turn of the assistant may say without a text. */
export const wordlessKeys: readonly string[] = [
  'tool_calls',
  'function_call',
  'reasoning_content',
  'reasoning',
  'thinking',
  // OpenAI's: what the assistant said stands there.
  'refusal',
  'audio',
];

/** A turn as the template is to have it, and whether it is learnt. */
export interface Turn {
  readonly message: ChatMessage;
  readonly learnt: boolean;
}

type Skip = { readonly skip: string };

/** `"narrator"`, where that is a name. */
export const quoted = (value: unknown): string => (isName(value) ? `"${value}"` : 'something else');

/** `the keys role, text`, for reasons. */
export const keysOf = (turn: Row): string =>
  `the keys ${Object.keys(turn).filter(isName).join(', ') || 'of none that is known'}`;

/**
 * The parts of a turn: its content, and what it has besides that is the template's to show.
 *
 * @param nameKey the key of the speaker: `role` or `from`
 */
export function readTurn(
  turn: unknown,
  nameKey: 'role' | 'from',
  roleOf: (name: string) => string | undefined,
): Turn | Skip {
  if (!isRecord(turn)) return { skip: `a turn is ${kindOf(turn)}, not an object` };
  const name = turn[nameKey];
  const contentKey = 'content' in turn || !('value' in turn) ? 'content' : 'value';
  const expected = `expected ${nameKey} and ${nameKey === 'from' ? 'value' : 'content'}`;
  if (!(nameKey in turn)) return { skip: `a turn has ${keysOf(turn)}; ${expected}` };
  if (typeof name !== 'string') return { skip: `a turn's "${nameKey}" is ${kindOf(name)}, not a text` };
  const role = roleOf(name);
  if (role === undefined) return { skip: `a turn is from ${quoted(name)}, which is no speaker that is known` };
  const { [nameKey]: _, [contentKey]: content, ...rest } = turn;
  if ('role' in rest) return { skip: 'a turn has both "from" and "role"' };
  if (content === undefined && !(role === 'assistant' && wordlessKeys.some((key) => key in rest)))
    return { skip: `a turn has ${keysOf(turn)}; ${expected}` };
  const fault = contentFault(content, role);
  if (fault !== undefined) return { skip: fault };
  const learnt = readLearnt(rest, role);
  if (typeof learnt !== 'boolean') return learnt;
  const others = Object.entries(rest).filter(([key]) => !learnKeys.includes(key) && !detailKeys.includes(key));
  const message = { role, ...(contentKey in turn ? { content } : {}), ...Object.fromEntries(others) };
  const calls = rest['tool_calls'];
  if (typeof calls !== 'string') return { learnt, message };
  // Columns of Parquet whose values differ in their shape are often JSON.
  const list = listIn(calls);
  return list === undefined
    ? { skip: 'the "tool_calls" of a turn are a text, and not the JSON of a list' }
    : { learnt, message: { ...message, tool_calls: list } };
}

/** Which contents a template may have; a tool's answer may be any value. */
function contentFault(content: unknown, role: string): string | undefined {
  if (typeof content === 'string') return undefined;
  if (content === undefined || content === null)
    return role === 'assistant' ? undefined : `a turn of the role ${quoted(role)} has no content`;
  if (Array.isArray(content)) {
    const other = (content as unknown[]).find(
      (part) => !(isRecord(part) && part['type'] === 'text' && typeof part['text'] === 'string'),
    );
    if (other === undefined || toolRoles.has(role)) return undefined;
    const kind = isRecord(other) ? `of the type ${quoted(other['type'])}` : `that is ${kindOf(other)}`;
    return `the content of a turn has a part ${kind}; only { type: text, text } is read`;
  }
  return toolRoles.has(role) ? undefined : `the content of a turn is ${kindOf(content)}, not a text`;
}

/** Roles that answer a call. */
const toolRoles: ReadonlySet<string> = new Set(['tool', 'function', 'observation', 'ipython', 'tool_response']);

/** Of 1.0 as of 1. */
const valueOf = (value: unknown): unknown => (value instanceof Number ? value.valueOf() : value);

/** Whether a turn is learnt: the assistant's are unless the turn itself says no. */
export function readLearnt(turn: Row, role: string): boolean | Skip {
  const given = learnKeys.filter((key) => turn[key] !== undefined && turn[key] !== null);
  for (const key of detailKeys)
    if (turn[key] !== undefined && turn[key] !== null)
      return { skip: `a turn has "${key}", which is not followed: turns are learnt whole or not at all` };
  const values = new Set<boolean>();
  for (const key of given) {
    const value = valueOf(turn[key]);
    if (value !== 0 && value !== 1 && typeof value !== 'boolean')
      return { skip: `a turn's "${key}" is neither 0 or false (context only) nor 1 or true (learnt)` };
    if (Boolean(value) && role !== 'assistant')
      return {
        skip: `a turn of the role ${quoted(role)} is to be learnt ("${key}"); only the assistant's turns can be`,
      };
    values.add(Boolean(value));
  }
  if (values.size > 1)
    return { skip: `a turn's ${given.map((key) => `"${key}"`).join(' and ')} contradict each other` };
  return !values.has(false);
}
