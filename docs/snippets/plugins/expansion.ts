import { markRepeats, ModelError, repeatOptions, strategies, type ExpansionStrategy } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { z } from 'zod';

const schema = z.strictObject({
  first: z.int().nonnegative().describe('The first layer of the part that is repeated.'),
  last: z.int().nonnegative().describe('The last one.'),
  ...repeatOptions,
});

/** Each layer from `first` to `last` stands twice, its repeat right behind it. */
export const twins: ExpansionStrategy<z.infer<typeof schema>> = {
  kind: 'twins',
  schema,
  expand(physicalLayers, { first, last, ...repeats }) {
    if (first > last || last >= physicalLayers) {
      throw new ModelError(
        'EXPANSION_INVALID',
        `twins repeats layers ${first} to ${last}, of a base with layers 0 to ${physicalLayers - 1}; let first <= last < ${physicalLayers}`,
      );
    }
    const layers = Array.from({ length: physicalLayers }, (_, physical) =>
      physical >= first && physical <= last ? [{ physical }, { physical }] : [{ physical }],
    );
    return markRepeats(layers.flat(), repeats);
  },
};

/** The plugin. Its type names the kind, so that `defineConfig` checks the options. */
export default (): Plugin<Offer<'expansion', 'twins', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-expansion-twins',
    contract: 2,
    register: (registry) => registry.contribute(strategies, { create: () => twins }),
  });
