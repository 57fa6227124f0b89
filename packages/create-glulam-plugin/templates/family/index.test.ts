import { testFamily } from '@glulam/testing';
import { myKindFamily } from './index.js';

// Fields of a config.json. Take those of a published checkpoint, in each style that is about.
const base = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 32000,
  rms_norm_eps: 1e-5,
};

testFamily(myKindFamily, {
  valid: [
    { fields: { ...base, sliding_window: 2048 }, layers: 32, attention: { headSize: 128, window: 2048 } },
    { fields: { ...base, sliding_window: null }, attention: { window: 0 }, biased: [] },
    {
      fields: { ...base, attention_bias: true },
      biased: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'],
    },
  ],
  alike: [
    [
      { ...base, rope_theta: 500000 },
      { ...base, rope_parameters: { rope_type: 'default', rope_theta: 500000 } },
    ],
  ],
  invalid: [
    { fields: {}, messages: [/hidden_size is missing/, /num_hidden_layers is missing/] },
    { fields: { ...base, attention_bias: 'yes' }, messages: [/attention_bias is "yes"; expected true or false/] },
    { fields: { ...base, hidden_act: 'gelu' }, messages: [/hidden_act is "gelu"; expected "silu"/] },
  ],
});
