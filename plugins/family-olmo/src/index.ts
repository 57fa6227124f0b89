import {
  families,
  llamaGgufTensors,
  readBiased,
  queryKeyNormGgufTensors,
  readLlamaSpec,
  type Family,
} from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** OLMo 2: `Olmo2ForCausalLM` of transformers. Blocks read the residual stream as it is; their outputs are normalized. */
export const olmo2Family: Family = {
  kind: 'olmo2',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        return {
          maxPositions: fields.integer('max_position_embeddings', 2048),
          slidingWindow: 0,
          biased: readBiased(fields, ['attention_bias']),
        };
      },
      {
        epsilon: 1e-5,
        paddingRow: 1,
        norms: 'after',
        queryKeyNorm: 'row',
        ignoresPartialRotary: true,
        gguf: {
          architecture: 'olmo2',
          turnsNeighbours: false,
          tensors: {
            ...llamaGgufTensors,
            ...queryKeyNormGgufTensors,
            post_attention_layernorm: 'post_attention_norm',
            post_feedforward_layernorm: 'post_ffw_norm',
          },
        },
      },
    ),
};

/** The plugin: reads checkpoints whose `model_type` is `olmo2`. */
export const familyOlmo = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-olmo',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => olmo2Family }),
  });
