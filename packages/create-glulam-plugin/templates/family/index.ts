import { families, llamaLinears, readLlamaSpec, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/**
 * Checkpoints whose config.json says `"model_type": "my_kind"`. Everything that the Llama layout has (names of tensors,
 * heads, rope, tied head) is read by `readLlamaSpec`; what sets this family apart is read here.
 */
export const myKindFamily: Family = {
  kind: 'my_kind',
  describe: (config) =>
    readLlamaSpec(config, (fields) => {
      const attentionBias = fields.boolean('attention_bias', false);
      return {
        maxPositions: fields.integer('max_position_embeddings', 4096),
        // null: every token sees all before it.
        slidingWindow: fields.raw('sliding_window') === null ? 0 : fields.integer('sliding_window', 4096),
        biased: llamaLinears.filter((name) => attentionBias && name.startsWith('self_attn')),
      };
    }),
};

/** The plugin: reads checkpoints whose `model_type` is `my_kind`. No config chooses a family, so it offers no kind. */
export const familyMyKind = (): Plugin<never> =>
  definePlugin({
    name: 'glulam-plugin-family-my-kind',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => myKindFamily }),
  });

// What a config that names this package takes.
export default familyMyKind;
