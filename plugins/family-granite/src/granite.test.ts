import { testFamily } from '@glulam/testing';
import { graniteFamily } from './index.js';

// Granite 3.1 2B as published.
const granite = {
  ...{ hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 40, num_attention_heads: 32 },
  ...{ num_key_value_heads: 8, vocab_size: 49155, rms_norm_eps: 1e-5, max_position_embeddings: 131072 },
  ...{ rope_theta: 5000000, rope_scaling: null, tie_word_embeddings: true, hidden_act: 'silu' },
  ...{ attention_bias: false, mlp_bias: false, pad_token_id: 0 },
  ...{ attention_multiplier: 0.015625, embedding_multiplier: 12, logits_scaling: 8, residual_multiplier: 0.22 },
};

testFamily(graniteFamily, {
  valid: [
    {
      fields: granite,
      spec: {
        embedding: { name: 'model.embed_tokens', paddingRow: 0, scale: { factor: 12 } },
        head: { name: 'lm_head', tied: true, inputScale: 1 / 8 },
      },
      layers: 40,
      attention: { headSize: 64, scale: 0.015625, outputScale: 0.22 },
    },
    // The scores are multiplied by 1, not by 1 / sqrt(64).
    { fields: { ...granite, attention_multiplier: undefined }, attention: { scale: 1 } },
  ],
  alike: [
    [granite, { ...granite, rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 5000000 } }],
  ],
  invalid: [
    { fields: { ...granite, logits_scaling: 0 }, messages: [/logits_scaling is 0; expected a positive number/] },
  ],
});
