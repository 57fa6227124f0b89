import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { dataFormats, type DataFormat } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({
  separator: z.string().default('\n\n').describe('Stands between the instruction and its input.'),
});

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

/** Rows `{ instruction, input?, output }` (as of Alpaca, Taori et al. 2023): a question with its answer. */
export const myKindFormat: DataFormat<z.output<typeof schema>> = {
  kind: 'my_kind',
  schema,
  shape: '{ instruction, input?, output }',
  matches: (row) => 'instruction' in row && 'output' in row,
  read({ instruction, input, output }, { separator }) {
    // Reasons are the same words for all such rows, so that they can be counted, and never repeat a row's text.
    if (!isText(instruction)) return { skip: '"instruction" is not a text, or empty' };
    if (!isText(output)) return { skip: '"output" is not a text, or empty' };
    if (input !== undefined && input !== null && typeof input !== 'string') return { skip: '"input" is not a text' };
    return { question: isText(input) ? `${instruction}${separator}${input}` : instruction, answer: output };
  },
};

/** The plugin: the data format `my_kind`. */
export const formatMyKind = (): Plugin<Offer<'format', 'my_kind', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-format-my-kind',
    contract: 1,
    register: (registry) => registry.contribute(dataFormats, { create: () => myKindFormat as DataFormat }),
  });

// What a config that names this package takes.
export default formatMyKind;
