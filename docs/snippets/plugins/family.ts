import { families, readLlamaSpec, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Seed-OSS: the Llama layout with biases on q, k and v. `kind` is the `model_type` of its config.json. */
export const seedOss: Family = {
  kind: 'seed_oss',
  describe: (config) =>
    readLlamaSpec(config, (fields) => {
      // What this family does not follow it refuses by name.
      if (fields.boolean('attention_out_bias', false)) fields.fault('attention_out_bias is true; expected false');
      if (!fields.boolean('attention_bias', true)) fields.fault('attention_bias is false; expected true');
      return {
        maxPositions: fields.integer('max_position_embeddings', 524288),
        slidingWindow: 0,
        biased: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
      };
    }),
};

/** The plugin. A family is found by the checkpoint, never chosen in a config: it offers no kind. */
export default (): Plugin<never> =>
  definePlugin({
    name: 'glulam-plugin-family-seed-oss',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => seedOss }),
  });
