import type { ChatMessage } from '@glulam/model';
import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { isName, isRecord, isText, kindOf, listIn, notList } from './row-parts.js';
import { keysOf, learnKeys, readLearnt } from './turn-parts.js';

const schema = z.strictObject({});
/** As a config writes them. */
export type OrcaChatOptions = z.input<typeof schema>;

/**
 * Orca-chat's `instruction` (the system message) and `conversation: [{ input, output }]`; XTuner's has the system message
 * in the first exchange.
 */
export const orcaChatFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'orca_chat',
  schema,
  shape: '{ instruction?, conversation: [{ input, output, system? }, ...] }',
  matches: (row) => {
    const exchanges = listIn(row['conversation']);
    if (exchanges === undefined) return false;
    const arePairs =
      exchanges.length > 0 && exchanges.every((each) => isRecord(each) && 'input' in each && 'output' in each);
    return 'instruction' in row || arePairs;
  },
  columns: () => ['instruction', 'conversation'],
  ask: (input, { system, ...columns }, output) => ({
    ...columns,
    ...(system === undefined ? {} : { instruction: system }),
    conversation: [{ input, output }],
  }),
  read({ instruction, conversation }) {
    const exchanges = listIn(conversation);
    if (exchanges === undefined) return { skip: notList('conversation', conversation, 'exchanges') };
    if (instruction !== undefined && instruction !== null && typeof instruction !== 'string')
      return { skip: `"instruction" is ${kindOf(instruction)}, not a text` };
    const turns: ChatMessage[] = [];
    const notes = new Set<string>();
    const contextOnly: number[] = [];
    const opening = exchanges.find(isRecord)?.['system'];
    const said = isText(opening) ? opening : undefined;
    if (isText(instruction) && said !== undefined && said !== instruction)
      return { skip: 'its instruction and the "system" of its first exchange differ' };
    const system = isText(instruction) ? instruction : said;
    const first = system === undefined ? 0 : 1;
    for (const [index, exchange] of exchanges.entries()) {
      if (!isRecord(exchange)) return { skip: `an exchange is ${kindOf(exchange)}, not { input, output }` };
      const { input, output, system: change, ...rest } = exchange;
      if (index > 0 && isText(change) && change !== system)
        return { skip: 'an exchange after the first has a "system" of its own' };
      if (change !== undefined && change !== null && typeof change !== 'string')
        return { skip: `the "system" of an exchange is ${kindOf(change)}, not a text` };
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
    return {
      messages: [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...turns],
      notes: [...notes],
      ...(contextOnly.length === 0 ? {} : { contextOnly }),
    };
  },
};
