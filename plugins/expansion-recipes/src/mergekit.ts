import { readFileSync } from 'node:fs';
import { checkVirtualLayers, ModelError, type ExpansionStrategy } from '@glulam/model';
import { z } from 'zod';
import { readMergekitLayers } from './mergekit-file.js';

const schema = z.strictObject({
  file: z.string().min(1).describe('A path; in a config file relative to it.'),
});

export type MergekitOptions = z.input<typeof schema>;

/** `{ kind: 'mergekit', file: 'passthrough.yaml' }`: the layers of a mergekit passthrough file, whose models are one. */
export const mergekitStrategy: ExpansionStrategy<z.infer<typeof schema>> = {
  kind: 'mergekit',
  schema,
  paths: ['file'],
  expand(physicalLayers, { file }) {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (cause) {
      throw new ModelError('EXPANSION_INVALID', `${file} cannot be read: ${(cause as Error).message}; expected a mergekit file`, { cause }); // prettier-ignore
    }
    const layers = readMergekitLayers(text, file);
    checkVirtualLayers(layers, physicalLayers);
    return layers;
  },
};
