import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { dataFormats, type DataFormat } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({});

/** Threads of a forum: a title, a body that may be empty, and the reply, which is learnt. */
export const forum: DataFormat<z.infer<typeof schema>> = {
  kind: 'forum',
  schema,
  shape: '{ title, body, reply }',
  matches: (row) => 'title' in row && 'reply' in row,
  columns: () => ['title', 'body', 'reply'],
  read({ title, body, reply }) {
    if (typeof title !== 'string' || typeof reply !== 'string')
      return { skip: '"title" and "reply" are not both texts' };
    if (reply === '') return { skip: 'the reply is empty' };
    const text = typeof body === 'string' && body !== '' ? `\n\n${body}` : '';
    return { prompt: `# ${title}${text}\n\n## Reply\n`, completion: reply };
  },
};

export default (): Plugin<Offer<'format', 'forum', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-format-forum',
    contract: 2,
    register: (registry) => registry.contribute(dataFormats, { create: () => forum }),
  });
