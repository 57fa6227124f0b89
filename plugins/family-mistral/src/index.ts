import { families, createFieldReader, readRope, type Family } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Mistral 7B and its kin: `MistralForCausalLM` of transformers. */
export const mistralFamily: Family = {
  kind: 'mistral',
  describe(config) {
    const fields = createFieldReader(config);
    const heads = fields.integer('num_attention_heads');
    const hiddenSize = fields.integer('hidden_size');
    const keyValueHeads = fields.integer('num_key_value_heads', heads);
    const headSize = fields.integer('head_dim', hiddenSize / heads);
    const activation = fields.raw('hidden_act') ?? 'silu';
    if (activation !== 'silu') fields.fault(`hidden_act is ${JSON.stringify(activation)}; expected "silu"`);
    if (heads % keyValueHeads !== 0) {
      fields.fault(`num_attention_heads ${heads} is no multiple of num_key_value_heads ${keyValueHeads}`);
    }
    if (headSize % 2 !== 0) fields.fault(`head_dim is ${headSize}; rotary embedding expects an even number`);
    const shape = {
      physicalLayers: fields.integer('num_hidden_layers'),
      hiddenSize,
      intermediateSize: fields.integer('intermediate_size'),
      heads,
      keyValueHeads,
      headSize,
      vocabularySize: fields.integer('vocab_size'),
      maxPositions: fields.integer('max_position_embeddings', 4096 * 32),
      normEpsilon: fields.number('rms_norm_eps', 1e-6),
      rope: readRope(fields),
      // null in the published config means: no window.
      slidingWindow: fields.raw('sliding_window') === null ? 0 : fields.integer('sliding_window', 4096),
      tiedHead: fields.boolean('tie_word_embeddings', false),
      biased: [],
      names: {
        embedding: 'model.embed_tokens.weight',
        finalNorm: 'model.norm.weight',
        head: 'lm_head.weight',
        layer: (index: number) => `model.layers.${index}`,
        attentionNorm: 'input_layernorm.weight',
        mlpNorm: 'post_attention_layernorm.weight',
      },
    };
    fields.finish();
    return shape;
  },
};

/** The plugin: reads checkpoints whose `model_type` is `mistral`. */
export const familyMistral = (): Plugin =>
  definePlugin({
    name: '@glulam/family-mistral',
    register: (registry) => registry.contribute(families, { create: () => mistralFamily }),
  });
