import { testFamily } from '@glulam/testing';
import { qwen2Family, qwen3Family } from './index.js';

// Qwen2.5-0.5B and Qwen3-8B as published.
const qwen2 = {
  ...{ hidden_size: 896, intermediate_size: 4864, num_hidden_layers: 24, num_attention_heads: 14 },
  ...{ num_key_value_heads: 2, vocab_size: 151936, rms_norm_eps: 1e-6, max_position_embeddings: 32768 },
  ...{ rope_theta: 1000000, tie_word_embeddings: true, hidden_act: 'silu', torch_dtype: 'bfloat16' },
  ...{ use_sliding_window: false, sliding_window: 32768, max_window_layers: 24 },
};
const qwen3 = {
  ...{ hidden_size: 4096, intermediate_size: 12288, num_hidden_layers: 36, num_attention_heads: 32, head_dim: 128 },
  ...{ num_key_value_heads: 8, vocab_size: 151936, rms_norm_eps: 1e-6, max_position_embeddings: 40960 },
  ...{ rope_theta: 1000000, rope_scaling: null, tie_word_embeddings: false, hidden_act: 'silu', attention_bias: false },
  ...{ use_sliding_window: false, sliding_window: null, max_window_layers: 36 },
};
const four = { ...qwen2, num_hidden_layers: 4, use_sliding_window: true, sliding_window: 512, max_window_layers: 3 };
const qkv = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];

testFamily(qwen2Family, {
  valid: [
    {
      fields: qwen2,
      spec: { head: { name: 'lm_head', tied: true } },
      attention: { headSize: 64, window: 0, rope: { settings: { type: 'default', theta: 1e6 }, dimensions: 64 } },
      biased: qkv,
    },
    { fields: four, windows: [0, 0, 0, 512] },
    { fields: { ...four, max_window_layers: 0 }, windows: [512, 512, 512, 512] },
    { fields: { ...four, sliding_window: null }, windows: [0, 0, 0, 0] },
    {
      fields: { ...four, layer_types: ['sliding_attention', ...Array<string>(3).fill('full_attention')] },
      windows: [512, 0, 0, 0],
    },
  ],
  alike: [
    [
      { ...four, layer_types: ['full_attention', 'full_attention', 'full_attention', 'sliding_attention'] },
      { ...four, rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 1000000 } },
    ],
    [
      { ...qwen2, num_attention_heads: 32, num_key_value_heads: undefined },
      { ...qwen2, num_attention_heads: 32, num_key_value_heads: null },
    ],
  ],
  invalid: [
    {
      fields: { ...four, layer_types: ['full_attention'] },
      messages: [/layer_types has 1 entries; expected one of .* 4 layers/],
    },
    {
      fields: { ...qwen2, num_hidden_layers: 1e9 },
      messages: [/cannot be followed:\n  num_hidden_layers is 1000000000; no model has more than \d+$/],
    },
    {
      fields: { ...qwen2, num_hidden_layers: undefined },
      messages: [/:\n  num_hidden_layers is missing; expected a positive integer$/],
    },
    { fields: { ...qwen2, use_sliding_window: 1 }, messages: [/use_sliding_window is 1; expected true or false/] },
  ],
});

testFamily(qwen3Family, {
  valid: [
    {
      fields: qwen3,
      layers: 36,
      attention: {
        headSize: 128,
        innerNorms: [
          { name: 'self_attn.q_norm', role: 'query', size: 128, epsilon: 1e-6 },
          { name: 'self_attn.k_norm', role: 'key', size: 128, epsilon: 1e-6 },
        ],
      },
      biased: [],
    },
    // Not hidden size / heads.
    {
      fields: { ...qwen3, hidden_size: 1024, num_attention_heads: 16, head_dim: undefined },
      attention: { headSize: 128 },
    },
    { fields: { ...qwen3, attention_bias: true }, biased: [...qkv, 'self_attn.o_proj'] },
  ],
  alike: [[qwen3, { ...qwen3, layer_types: Array(36).fill('full_attention') }]],
  invalid: [{ fields: { ...qwen3, hidden_act: 'gelu' }, messages: [/hidden_act is "gelu"; expected "silu"/] }],
});
