import { testFamily } from '@glulam/testing';
import { mistralFamily } from './index.js';

const base = { hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8, vocab_size: 32000, rms_norm_eps: 1e-5, max_position_embeddings: 32768 }; // prettier-ignore

testFamily(mistralFamily, {
  valid: [
    {
      fields: { ...base, rope_theta: 10000, sliding_window: 4096 },
      shape: {
        physicalLayers: 32,
        headSize: 128,
        slidingWindow: 4096,
        tiedHead: false,
        rope: { type: 'default', theta: 10000 },
      },
    },
    {
      fields: { ...base, head_dim: 64, sliding_window: null, rope_theta: 1e6 },
      shape: { headSize: 64, slidingWindow: 0, rope: { type: 'default', theta: 1e6 } },
    },
  ],
  alike: [
    [
      { ...base, rope_theta: 10000, rope_scaling: null, torch_dtype: 'bfloat16' },
      { ...base, rope_parameters: { rope_type: 'default', rope_theta: 10000 }, dtype: 'bfloat16' },
    ],
    [
      { ...base, rope_theta: 5000, rope_scaling: { type: 'linear', factor: 2 } },
      { ...base, rope_theta: 5000, rope_scaling: { rope_type: 'linear', factor: 2 } },
      { ...base, rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 5000 } },
    ],
  ],
  invalid: [
    { fields: {}, messages: [/hidden_size is missing/, /num_hidden_layers is missing/, /vocab_size is missing/] },
    { fields: { ...base, hidden_act: 'gelu' }, messages: [/hidden_act is "gelu"; expected "silu"/] },
    { fields: { ...base, num_key_value_heads: 5 }, messages: [/no multiple of num_key_value_heads 5/] },
    {
      fields: { ...base, rope_scaling: { rope_type: 'yarn', factor: 4 } },
      messages: [/rope type "yarn" is not known/],
    },
    {
      fields: { ...base, hidden_size: '4096', rms_norm_eps: -1 },
      messages: [/hidden_size is "4096"/, /rms_norm_eps is -1/],
    },
  ],
});
