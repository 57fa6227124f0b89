import type { DataFormat } from '@glulam/trainer';
import { z } from 'zod';
import { isText, notTexts } from './row-parts.js';

const schema = z.strictObject({
  column: z.string().default('text').describe('The key of the text.'),
});
/** As a config writes them. */
export type TextOptions = z.input<typeof schema>;

/** Plain text, all of which is learnt. */
export const textFormat: DataFormat<z.infer<typeof schema>> = {
  kind: 'text',
  schema,
  shape: '{ text }',
  matches: (row) => 'text' in row,
  columns: (_, { column }) => [column],
  read(row, { column }) {
    const text = row[column];
    if (typeof text !== 'string') return { skip: notTexts(row, [column])! };
    return isText(text) ? { text } : { skip: 'the text is empty' };
  },
};
