import { families, readLayerTypes, readLlamaSpec, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

const describe: Family['describe'] = (config) =>
  readLlamaSpec(
    config,
    (fields) => {
      // null in the published config means: no window.
      const window = fields.raw('sliding_window') === null ? 0 : fields.integer('sliding_window', 4096);
      return {
        maxPositions: fields.integer('max_position_embeddings', 4096 * 32),
        // transformers' AutoModel takes a mistral config with `layer_types` as Ministral's, whose layers slide or not as these say.
        slidingWindow: readLayerTypes(fields, { window, slides: () => true }),
        biased: [],
      };
    },
    { keyValueHeads: 8, ignoresPartialRotary: true },
  );

/** Mistral 7B, Nemo and their kin: `MistralForCausalLM` of transformers. */
export const mistralFamily: Family = { kind: 'mistral', describe };

/** Ministral: `MinistralForCausalLM` of transformers. */
export const ministralFamily: Family = { kind: 'ministral', describe };

/** The plugin: reads checkpoints whose `model_type` is `mistral` or `ministral`. */
export const familyMistral = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-mistral',
    contract: 2,
    register(registry) {
      for (const family of [mistralFamily, ministralFamily]) registry.contribute(families, { create: () => family });
    },
  });
