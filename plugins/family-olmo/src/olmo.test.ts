import { testFamily } from '@glulam/testing';
import { olmo2Family } from './index.js';

// OLMo 2 7B as published.
const olmo2 = {
  ...{ hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32, num_attention_heads: 32 },
  ...{ num_key_value_heads: 32, vocab_size: 100352, rms_norm_eps: 1e-6, max_position_embeddings: 4096 },
  ...{ rope_theta: 500000, rope_scaling: null, tie_word_embeddings: false, hidden_act: 'silu', attention_bias: false },
};

testFamily(olmo2Family, {
  valid: [
    {
      fields: olmo2,
      layers: 32,
      attention: {
        outputNorm: { name: 'post_attention_layernorm', epsilon: 1e-6 },
        innerNorms: [
          { name: 'self_attn.q_norm', role: 'query', size: 4096, epsilon: 1e-6 },
          { name: 'self_attn.k_norm', role: 'key', size: 4096, epsilon: 1e-6 },
        ],
      },
      biased: [],
    },
    {
      fields: { ...olmo2, rms_norm_eps: undefined, pad_token_id: undefined },
      spec: { finalNorm: { name: 'model.norm', epsilon: 1e-5 } },
    },
  ],
  alike: [[olmo2, { ...olmo2, num_key_value_heads: undefined }, { ...olmo2, pad_token_id: 1 }]],
  invalid: [
    { fields: { ...olmo2, attention_bias: 'no' }, messages: [/attention_bias is "no"; expected true or false/] },
  ],
});
