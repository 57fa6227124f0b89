import { markRepeats, ModelError, repeatOptions, strategies, type ExpansionStrategy } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { z } from 'zod';

const schema = z.strictObject({
  start: z.int().min(0).describe('The first layer of the block, counted from 0.'),
  end: z.int().positive().describe('The layer behind the last one of the block.'),
  times: z.int().min(2).default(2).describe('How often the block is laid out.'),
  ...repeatOptions,
});

/** A block of layers is laid out several times over: layers 0 1 2 3 with the block [1, 3) twice are 0 1 2 1 2 3. */
export const myKindStrategy: ExpansionStrategy<z.output<typeof schema>> = {
  kind: 'my_kind',
  schema,
  expand(physicalLayers, { start, end, times, ...repeats }) {
    if (start >= end || end > physicalLayers) {
      throw new ModelError(
        'EXPANSION_INVALID',
        `my_kind has the block from ${start} to ${end}, and the base ${physicalLayers} layers; expected start < end <= ${physicalLayers}`,
      );
    }
    const layers = Array.from({ length: physicalLayers }, (_, physical) => ({ physical }));
    const block = layers.slice(start, end);
    const repeated = Array.from({ length: times }, () => block).flat();
    return markRepeats([...layers.slice(0, start), ...repeated, ...layers.slice(end)], repeats);
  },
};

/** The plugin: the expansion strategy `my_kind`. */
export const expansionMyKind = (): Plugin<Offer<'expansion', 'my_kind', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-expansion-my-kind',
    contract: 2,
    register: (registry) => registry.contribute(strategies, { create: () => myKindStrategy }),
  });

// What a config that names this package takes.
export default expansionMyKind;
