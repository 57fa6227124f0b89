import { families, readLlamaSpec, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Seed-OSS: `SeedOssForCausalLM` of transformers, the Llama layout with biases of its own. */
export const seedOssFamily: Family = {
  kind: 'seed_oss',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        const [inner, output] = [fields.boolean('attention_bias', true), fields.boolean('attention_out_bias', false)];
        const mlp = fields.boolean('mlp_bias', false);
        if ((fields.raw('residual_dropout') ?? 0.1) !== 0)
          fields.ignored('residual_dropout: transformers drops activations in training, Glulam does not');
        return {
          maxPositions: fields.integer('max_position_embeddings', 524288),
          slidingWindow: 0,
          biased: [
            ...(inner ? (['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const) : []),
            ...(output ? (['self_attn.o_proj'] as const) : []),
            ...(mlp ? (['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'] as const) : []),
          ],
        };
      },
      { keyValueHeads: 8, headSize: 128, paddingRow: 1, ignoresPartialRotary: true },
    ),
};

/** The plugin: reads checkpoints whose `model_type` is `seed_oss`. */
export const familySeedOss = (): Plugin<never> =>
  definePlugin({
    name: 'glulam-plugin-family-seed-oss',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => seedOssFamily }),
  });
export default familySeedOss;
