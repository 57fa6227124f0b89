import { families, readDecoderShape, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Mistral 7B and its kin: `MistralForCausalLM` of transformers. */
export const mistralFamily: Family = {
  kind: 'mistral',
  describe: (config) =>
    readDecoderShape(config, (fields) => ({
      maxPositions: fields.integer('max_position_embeddings', 4096 * 32),
      // null in the published config means: no window.
      slidingWindow: fields.raw('sliding_window') === null ? 0 : fields.integer('sliding_window', 4096),
      biased: [],
    })),
};

/** The plugin: reads checkpoints whose `model_type` is `mistral`. */
export const familyMistral = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-mistral',
    contract: 1,
    register: (registry) => registry.contribute(families, { create: () => mistralFamily }),
  });
