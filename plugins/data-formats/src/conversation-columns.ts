import type { ChatMessage } from '@glulam/model';
import { isObject, isText, kindOf, listIn, type Row } from './row-parts.js';

/** Columns beside a conversation that hold its system message. */
export const systemColumns: readonly string[] = ['system', 'system_prompt', 'system_message'];

/** What stands beside the turns of a row: a system message, and the tools. */
interface Beside {
  readonly system?: ChatMessage;
  readonly tools?: readonly unknown[];
}

/** Read what belongs to a conversation and stands in columns of its own. */
export function readBeside(row: Row): Beside | { readonly skip: string } {
  const systems = systemColumns.filter((key) => row[key] !== undefined && row[key] !== null && row[key] !== '');
  const odd = systems.find((key) => typeof row[key] !== 'string');
  if (odd !== undefined) return { skip: `"${odd}" is ${kindOf(row[odd])}, not a text` };
  const [system, ...others] = new Set(systems.map((key) => row[key]));
  if (others.length > 0) return { skip: `its columns ${systems.map((key) => `"${key}"`).join(' and ')} differ` };
  const given = row['tools'];
  const none = given === undefined || given === null || (typeof given === 'string' && given.trim() === '');
  const tools = none ? undefined : listIn(given);
  if (!none && tools === undefined)
    return { skip: `"tools" is ${kindOf(given)}; expected a list, or the JSON text of one` };
  if (tools !== undefined && !tools.every(isObject))
    return { skip: `"tools" holds ${kindOf(tools.find((tool) => !isObject(tool)))}; expected objects` };
  return {
    ...(isText(system) ? { system: { role: 'system', content: system } } : {}),
    ...(tools === undefined ? {} : { tools }),
  };
}

/** The conversation with the system message of its own column; one in its turns has to be the same. */
export function withSystem(
  turns: readonly ChatMessage[],
  system: ChatMessage | undefined,
): readonly ChatMessage[] | { readonly skip: string } {
  const first = turns[0];
  if (system === undefined) return turns;
  if (first?.role !== 'system') return [system, ...turns];
  return first.content === system.content
    ? turns
    : { skip: 'its column of the system message and its system turn differ' };
}
