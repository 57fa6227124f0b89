import { families, llamaGgufTensors, readBiased, readLlamaSpec, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Granite 3: `GraniteForCausalLM` of transformers, the Llama layout with four multipliers. */
export const graniteFamily: Family = {
  kind: 'granite',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        return {
          maxPositions: fields.integer('max_position_embeddings', 2048),
          slidingWindow: 0,
          biased: readBiased(fields, ['attention_bias', 'mlp_bias']),
          scale: fields.number('attention_multiplier', 1),
          outputScale: fields.number('residual_multiplier', 1),
          embeddingScale: { factor: fields.number('embedding_multiplier', 1) },
          headInputScale: 1 / fields.number('logits_scaling', 1),
        };
      },
      {
        ignoresPartialRotary: true,
        gguf: {
          architecture: 'granite',
          turnsNeighbours: true,
          tensors: llamaGgufTensors,
          graph: { keys: ['multipliers'] },
        },
      },
    ),
};

/** The plugin: reads checkpoints whose `model_type` is `granite`. */
export const familyGranite = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-granite',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => graniteFamily }),
  });
