import type { ChatMessage } from '@glulam/model';
import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { isName, isRecord, isText, kindOf, listIn, notList } from './row-parts.js';
import { keysOf, learnKeys, readLearnt } from './turn-parts.js';

const schema = z.strictObject({});
/** As a config writes them. */
export type OrcaChatOptions = z.input<typeof schema>;

/** Orca-chat's `instruction` (the system message) and `conversation: [{ input, output }]`. */
export const orcaChatFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'orca_chat',
  schema,
  shape: '{ instruction, conversation: [{ input, output }, ...] }',
  matches: (row) => 'instruction' in row && listIn(row['conversation']) !== undefined,
  columns: () => ['instruction', 'conversation'],
  read({ instruction, conversation }) {
    const exchanges = listIn(conversation);
    if (exchanges === undefined) return { skip: notList('conversation', conversation, 'exchanges') };
    if (instruction !== undefined && instruction !== null && typeof instruction !== 'string')
      return { skip: `"instruction" is ${kindOf(instruction)}, not a text` };
    const turns: ChatMessage[] = [];
    const notes = new Set<string>();
    const contextOnly: number[] = [];
    const first = isText(instruction) ? 1 : 0;
    for (const exchange of exchanges) {
      if (!isRecord(exchange)) return { skip: `an exchange is ${kindOf(exchange)}, not { input, output }` };
      const { input, output, ...rest } = exchange;
      if (typeof input !== 'string' || typeof output !== 'string')
        return { skip: `an exchange is not { input, output } as texts: it has ${keysOf(exchange)}` };
      const learnt = readLearnt(rest, 'assistant');
      if (typeof learnt !== 'boolean') return learnt;
      for (const [key, value] of Object.entries(rest))
        if (value !== null && isName(key) && !learnKeys.includes(key)) notes.add(`"${key}" of an exchange: not used`);
      if (!isText(output)) {
        notes.add('an exchange without output: left out');
        continue;
      }
      turns.push({ role: 'user', content: input }, { role: 'assistant', content: output });
      if (!learnt) contextOnly.push(first + turns.length - 1);
    }
    if (turns.length === 0) return { skip: 'the conversation is empty' };
    const system = isText(instruction) ? [{ role: 'system', content: instruction }] : [];
    return {
      messages: [...system, ...turns],
      notes: [...notes],
      ...(contextOnly.length === 0 ? {} : { contextOnly }),
    };
  },
};
