import { layersOfMap, markRepeats, ModelError, repeatOptions, strategies, type ExpansionStrategy } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { z } from 'zod';

const schema = z.strictObject({
  layer_map: z
    .array(z.tuple([z.int(), z.int()]))
    .min(1)
    .describe(
      'Half-open intervals `[start, end)` of physical layers, in order; they may repeat, drop and reorder layers.',
    )
    .meta({
      examples: [
        [
          [0, 16],
          [8, 24],
          [16, 32],
        ],
      ],
    }),
  ...repeatOptions,
});

/** `{ layer_map: [[0, 16], [8, 24], [16, 32]] }`, as model cards write it; PEFT calls it `layer_replication`. */
export const layerMapStrategy: ExpansionStrategy<z.infer<typeof schema>> = {
  kind: 'layer_map',
  schema,
  expand(physicalLayers, { layer_map: intervals, ...repeats }) {
    const faults = intervals.flatMap(([start, end], i) => {
      if (start >= end) return [`interval ${i} [${start}, ${end}) is empty; expected start < end`];
      if (start < 0 || end > physicalLayers) {
        return [
          `interval ${i} [${start}, ${end}) leaves the base, which has ${physicalLayers} layers: [0, ${physicalLayers})`,
        ];
      }
      return [];
    });
    const more = faults.length > 8 ? [`and ${faults.length - 8} more`] : [];
    if (faults.length > 0)
      throw new ModelError(
        'EXPANSION_INVALID',
        `the layer_map does not fit the base:\n  ${[...faults.slice(0, 8), ...more].join('\n  ')}`,
      );
    return markRepeats(layersOfMap(intervals), repeats);
  },
};

/** The plugin: the expansion strategy `layer_map`. */
export const expansionLayerMap = (): Plugin<Offer<'expansion', 'layer_map', z.input<typeof schema>>> =>
  definePlugin({
    name: '@glulam/expansion-layer-map',
    contract: 2,
    register: (registry) => registry.contribute(strategies, { create: () => layerMapStrategy }),
  });
