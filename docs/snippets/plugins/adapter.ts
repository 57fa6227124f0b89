import { adapters, type AdapterContribution } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { z } from 'zod';

const schema = z.strictObject({
  only: z.enum(['all', 'repeats']).default('all').describe('Where it sits: everywhere, or on repeats alone.'),
});

/** A trained factor for each output of each linear layer, which begins at 1: y = scale * (W x). */
export const outputScale: AdapterContribution<z.infer<typeof schema>> = {
  kind: 'output_scale',
  schema,
  create: ({ only }) => ({
    kind: 'output_scale',
    at({ use, outFeatures }) {
      if (only === 'repeats' && use === 0) return undefined;
      return {
        parameters: [{ name: 'scale', shape: [outFeatures], initial: () => new Float32Array(outFeatures).fill(1) }],
        form: ({ scale }) => ({ outScale: scale! }),
      };
    },
    peftConfig: () => ({}),
    notPeft: 'PEFT has no adapter that scales the outputs of all linear layers',
  }),
  fromPeft: () => undefined,
};

export default (): Plugin<Offer<'adapter', 'output_scale', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-adapter-output-scale',
    contract: 2,
    register: (registry) => registry.contribute(adapters, { create: () => outputScale }),
  });
