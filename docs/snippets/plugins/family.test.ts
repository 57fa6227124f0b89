import { testFamily } from '@glulam/testing';
import { seedOss } from './family.js';

const base = {
  hidden_size: 896,
  intermediate_size: 4864,
  num_hidden_layers: 24,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  vocab_size: 151936,
};

testFamily(seedOss, {
  valid: [
    {
      fields: { ...base, tie_word_embeddings: true },
      spec: { head: { name: 'lm_head', tied: true } },
      attention: { headSize: 64, window: 0 },
      biased: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
    },
  ],
  // The style of published checkpoints and today's.
  alike: [
    [
      { ...base, rope_theta: 1e6 },
      { ...base, rope_parameters: { rope_type: 'default', rope_theta: 1e6 } },
    ],
  ],
  invalid: [
    {
      fields: { ...base, attention_out_bias: true, hidden_act: 'gelu' },
      messages: [/attention_out_bias is true/, /hidden_act is "gelu"/],
    },
  ],
});
