import { testFamily } from '@glulam/testing';
import { seedOssFamily } from './index.js';

// As published with Seed-OSS-36B.
const published = {
  ...{ hidden_size: 5120, intermediate_size: 27648, num_hidden_layers: 64, num_attention_heads: 80, head_dim: 128 },
  ...{ num_key_value_heads: 8, vocab_size: 155136, rms_norm_eps: 1e-6, max_position_embeddings: 524288 },
  ...{ rope_theta: 10000000, rope_scaling: { rope_type: 'default' }, tie_word_embeddings: false, hidden_act: 'silu' },
  ...{
    attention_bias: true,
    attention_out_bias: false,
    mlp_bias: false,
    residual_dropout: 0.1,
    torch_dtype: 'bfloat16',
  },
};
const rope = { settings: { type: 'default' as const, theta: 1e7 }, dimensions: 128 };

testFamily(seedOssFamily, {
  valid: [
    {
      fields: published,
      spec: { head: { name: 'lm_head', tied: false }, maxPositions: 524288 },
      layers: 64,
      attention: { headSize: 128, heads: 80, window: 0, rope },
      biased: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
    },
    {
      fields: { ...published, attention_bias: false, attention_out_bias: true, mlp_bias: true },
      biased: ['self_attn.o_proj', 'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'],
    },
  ],
  alike: [
    [
      published,
      {
        ...{ ...published, rope_theta: undefined, rope_scaling: undefined },
        rope_parameters: { rope_type: 'default', rope_theta: 10000000 },
      },
    ],
    [
      { ...published, pad_token_id: 1 },
      { ...published, pad_token_id: undefined, num_key_value_heads: undefined, head_dim: undefined },
    ],
  ],
  invalid: [
    { fields: { ...published, attention_bias: 1 }, messages: [/attention_bias is 1; expected true or false/] },
    { fields: { ...published, rope_scaling: { type: 'spiral' } }, messages: [/rope type "spiral" is not known/] },
  ],
});
