import type { ChatMessage } from '@glulam/model';
import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { firstKey, isText, kindOf, listIn, notTexts, type Row } from './row-parts.js';

const schema = z.strictObject({
  layout: z
    .enum(['alpaca', 'chat'])
    .default('alpaca')
    .describe(
      "`alpaca`: Stanford Alpaca's text, or `data.prompt` where the config has one; `chat`: a conversation, by the chat template.",
    ),
});
/** As a config writes them. */
export type AlpacaOptions = z.input<typeof schema>;

const preamble = 'Below is an instruction that describes a task';
const request = 'Write a response that appropriately completes the request.';

/**
 * Alpaca's `instruction`, `input` and `output`, of which the output is learnt; Dolly's `context` and `response` are
 * the same. A `system` message stands in the place of the text's first paragraph, as in Axolotl; rows with a `history`
 * are conversations.
 */
export const alpacaFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'alpaca',
  schema,
  shape: '{ instruction, input?, output, system?, history? }',
  matches: (row) => 'instruction' in row && ('output' in row || 'response' in row) && !('conversation' in row),
  columns: (row) => ['instruction', inputKey(row), outputKey(row), 'system', 'history'],
  ask: (instruction, columns, output) => ({ ...columns, instruction, output }),
  read(row, { layout }) {
    const [input, output] = [inputKey(row), outputKey(row)];
    const optional = [input, 'system'].filter((key) => row[key] !== undefined && row[key] !== null);
    const fault = notTexts(row, ['instruction', output, ...optional]);
    if (fault !== undefined) return { skip: fault };
    const texts = row as Readonly<Record<string, string>>;
    const answer = texts[output]!;
    if (!isText(answer)) return { skip: `the answer ("${output}") is empty` };
    const history = historyOf(row['history']);
    if ('skip' in history) return history;
    const { instruction, system } = texts as { instruction: string; system?: string };
    const beside = isText(row[input]) ? texts[input]! : '';
    if (layout === 'chat') {
      const messages: ChatMessage[] = [
        ...(isText(system) ? [{ role: 'system', content: system }] : []),
        ...history.turns,
        { role: 'user', content: [instruction, beside].filter(isText).join('\n') },
        { role: 'assistant', content: answer },
      ];
      const contextOnly = messages.slice(0, -1).flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
      return { messages, ...(contextOnly.length === 0 ? {} : { contextOnly }) };
    }
    if (history.turns.length > 0)
      return {
        skip: 'its "history" is a conversation, and Alpaca\'s text is not one: choose { kind: alpaca, layout: chat }',
      };
    const first = isText(system)
      ? system
      : `${preamble}${beside === '' ? '' : ', paired with an input that provides further context'}. ${request}`;
    const prompt =
      `${first}\n\n### Instruction:\n${instruction}\n\n` +
      `${beside === '' ? '' : `### Input:\n${beside}\n\n`}### Response:\n`;
    return { question: instruction, answer, prompt, promptColumns: [input, 'system'] };
  },
};

const inputKey = (row: Row): string => firstKey(row, ['input', 'context']) ?? 'input';
const outputKey = (row: Row): string => firstKey(row, ['output', 'response']) ?? 'output';

/** LLaMA-Factory's `history: [[user, assistant], ...]`. */
function historyOf(value: unknown): { readonly turns: readonly ChatMessage[] } | { readonly skip: string } {
  if (value === undefined || value === null || value === '') return { turns: [] };
  const pairs = listIn(value);
  if (pairs === undefined) return { skip: `"history" is ${kindOf(value)}; expected a list of [user, assistant]` };
  const isPair = (pair: unknown): pair is [string, string] =>
    Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === 'string');
  if (!pairs.every(isPair)) return { skip: '"history" holds something other than [user, assistant] as texts' };
  return {
    turns: pairs.flatMap(([user, assistant]) => [
      { role: 'user', content: user },
      { role: 'assistant', content: assistant },
    ]),
  };
}
