import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { dataFormats, type DataFormat } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({});

/** Alpaca's rows: an instruction, an input that may be empty, and the output, which is learnt. */
export const alpaca: DataFormat<z.infer<typeof schema>> = {
  kind: 'alpaca',
  schema,
  shape: '{ instruction, input, output }',
  matches: (row) => 'instruction' in row && 'output' in row,
  read({ instruction, input, output }) {
    if (typeof instruction !== 'string' || typeof output !== 'string')
      return { skip: '"instruction" and "output" are not both texts' };
    if (output === '') return { skip: 'the output is empty' };
    const context = typeof input === 'string' && input !== '' ? `\n\n### Input:\n${input}` : '';
    return { prompt: `### Instruction:\n${instruction}${context}\n\n### Response:\n`, completion: output };
  },
};

export default (): Plugin<Offer<'format', 'alpaca', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-format-alpaca',
    contract: 1,
    register: (registry) => registry.contribute(dataFormats, { create: () => alpaca as DataFormat }),
  });
