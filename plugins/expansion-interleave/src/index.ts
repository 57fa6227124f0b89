import { markRepeats, ModelError, repeatOptions, strategies, type ExpansionStrategy } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { z } from 'zod';

const schema = z.strictObject({
  every: z
    .int()
    .positive()
    .describe('After every so many layers the last of them is repeated: 32 layers, every 4, make 40.'),
  ...repeatOptions,
});

/** `{ kind: 'interleave', every: 4, gate: 'learned' }`: LLaMA-Pro's expansion (Wu et al. 2024), without its copies. */
export const interleaveStrategy: ExpansionStrategy<z.infer<typeof schema>> = {
  kind: 'interleave',
  schema,
  expand(physicalLayers, { every, ...repeats }) {
    if (every > physicalLayers) {
      throw new ModelError(
        'EXPANSION_INVALID',
        `interleave repeats every ${every}th layer, but the base has ${physicalLayers}: nothing would be repeated; expected 1 to ${physicalLayers}`,
      );
    }
    const layers = Array.from({ length: physicalLayers }, (_, physical) =>
      (physical + 1) % every === 0 ? [{ physical }, { physical }] : [{ physical }],
    ).flat();
    return markRepeats(layers, repeats);
  },
};

/** The plugin: the expansion strategy `interleave`. */
export const expansionInterleave = (): Plugin<Offer<'expansion', 'interleave', z.input<typeof schema>>> =>
  definePlugin({
    name: '@glulam/expansion-interleave',
    contract: 2,
    register: (registry) => registry.contribute(strategies, { create: () => interleaveStrategy }),
  });
