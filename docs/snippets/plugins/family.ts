import { families, readLlamaSpec, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Qwen2: the Llama layout with biases on q, k and v. `kind` is the `model_type` of its config.json. */
export const qwen2: Family = {
  kind: 'qwen2',
  describe: (config) =>
    readLlamaSpec(config, (fields) => {
      // With this some layers see less than others, which the decoder does not do.
      if (fields.boolean('use_sliding_window', false)) fields.fault('use_sliding_window is true; expected false');
      return {
        maxPositions: fields.integer('max_position_embeddings', 32768),
        slidingWindow: 0,
        biased: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
      };
    }),
};

/** The plugin. A family is found by the checkpoint, never chosen in a config: it offers no kind. */
export default (): Plugin<never> =>
  definePlugin({
    name: 'glulam-plugin-family-qwen2',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => qwen2 }),
  });
