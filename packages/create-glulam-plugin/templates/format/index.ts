import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { dataFormats, type DataFormat } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({
  separator: z.string().default('\n\n').describe('Stands between the title and the body.'),
});

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

/** Rows `{ title, body?, reply }`, such as a forum's: a question with its answer. */
export const myKindFormat: DataFormat<z.output<typeof schema>> = {
  kind: 'my_kind',
  schema,
  shape: '{ title, body?, reply }',
  matches: (row) => 'title' in row && 'reply' in row,
  columns: () => ['title', 'body', 'reply'],
  read({ title, body, reply }, { separator }) {
    // Reasons are the same words for all such rows, so that they can be counted, and never repeat a row's text.
    if (!isText(title)) return { skip: '"title" is not a text, or empty' };
    if (!isText(reply)) return { skip: '"reply" is not a text, or empty' };
    if (body !== undefined && body !== null && typeof body !== 'string') return { skip: '"body" is not a text' };
    return { question: isText(body) ? `${title}${separator}${body}` : title, answer: reply };
  },
};

/** The plugin: the data format `my_kind`. */
export const formatMyKind = (): Plugin<Offer<'format', 'my_kind', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-format-my-kind',
    contract: 2,
    register: (registry) => registry.contribute(dataFormats, { create: () => myKindFormat }),
  });

// What a config that names this package takes.
export default formatMyKind;
