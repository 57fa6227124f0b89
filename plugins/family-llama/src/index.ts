import { families, readBiased, readLlamaSpec, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Llama 2, 3 and their kin: `LlamaForCausalLM` of transformers. */
export const llamaFamily: Family = {
  kind: 'llama',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        return {
          maxPositions: fields.integer('max_position_embeddings', 2048),
          slidingWindow: 0,
          biased: readBiased(fields, ['attention_bias', 'mlp_bias']),
        };
      },
      { ignoresPartialRotary: true },
    ),
};

/** The plugin: reads checkpoints whose `model_type` is `llama`. */
export const familyLlama = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-llama',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => llamaFamily }),
  });
