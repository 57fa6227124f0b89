import { testFamily } from '@glulam/testing';
import { gemma2Family, gemma3Family } from './index.js';

// Gemma 2 2B and Gemma 3 1B as published.
const gemma2 = {
  ...{ hidden_size: 2304, intermediate_size: 9216, num_hidden_layers: 26, num_attention_heads: 8, head_dim: 256 },
  ...{ num_key_value_heads: 4, vocab_size: 256000, rms_norm_eps: 1e-6, max_position_embeddings: 8192 },
  ...{
    rope_theta: 10000,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_activation: 'gelu_pytorch_tanh',
    sliding_window: 4096,
  },
  ...{ attn_logit_softcapping: 50, final_logit_softcapping: 30, query_pre_attn_scalar: 256, pad_token_id: 0 },
};
const gemma3 = {
  ...{ hidden_size: 1152, intermediate_size: 6912, num_hidden_layers: 26, num_attention_heads: 4, head_dim: 256 },
  ...{ num_key_value_heads: 1, vocab_size: 262144, rms_norm_eps: 1e-6, max_position_embeddings: 32768 },
  ...{
    rope_theta: 1000000,
    rope_local_base_freq: 10000,
    rope_scaling: null,
    sliding_window: 512,
    sliding_window_pattern: 6,
  },
  ...{ attn_logit_softcapping: null, final_logit_softcapping: null, query_pre_attn_scalar: 256 },
  ...{ hidden_activation: 'gelu_pytorch_tanh', pad_token_id: 0 },
};
const six = { ...gemma3, num_hidden_layers: 6 };
const kinds = [...Array<string>(5).fill('sliding_attention'), 'full_attention'];

testFamily(gemma2Family, {
  valid: [
    {
      fields: gemma2,
      spec: {
        head: { name: 'lm_head', tied: true, softCap: 30 },
        embedding: { name: 'model.embed_tokens', paddingRow: 0, scale: { factor: 48, inStoredType: true } },
        finalNorm: { name: 'model.norm', epsilon: 1e-6, offset: 1 },
      },
      attention: {
        headSize: 256,
        scale: 1 / 16,
        softCap: 50,
        norm: { name: 'input_layernorm', epsilon: 1e-6, offset: 1 },
        outputNorm: { name: 'post_attention_layernorm', epsilon: 1e-6, offset: 1 },
      },
      windows: Array.from({ length: 26 }, (_, index) => (index % 2 === 0 ? 4096 : 0)),
    },
    { fields: { ...gemma2, attn_logit_softcapping: null, query_pre_attn_scalar: 144 }, attention: { scale: 1 / 12 } },
  ],
  alike: [
    [
      gemma2,
      { ...gemma2, hidden_activation: null, attn_logit_softcapping: undefined, final_logit_softcapping: undefined },
      {
        ...gemma2,
        layer_types: Array.from({ length: 26 }, (_, i) => (i % 2 ? 'full_attention' : 'sliding_attention')),
      },
    ],
  ],
  invalid: [
    {
      fields: { ...gemma2, hidden_activation: 'gelu', final_logit_softcapping: -3 },
      messages: [
        /hidden_activation is "gelu"; expected "gelu_pytorch_tanh"/,
        /final_logit_softcapping is -3; expected a positive/,
      ],
    },
    { fields: { ...gemma2, use_bidirectional_attention: true }, messages: [/use_bidirectional_attention is true/] },
    { fields: { ...gemma2, layer_types: kinds }, messages: [/layer_types has 6 entries; expected .* 26 layers/] },
  ],
});

testFamily(gemma3Family, {
  valid: [
    {
      fields: six,
      windows: [512, 512, 512, 512, 512, 0],
      attention: {
        innerNorms: [
          { name: 'self_attn.q_norm', role: 'query', size: 256, epsilon: 1e-6, offset: 1 },
          { name: 'self_attn.k_norm', role: 'key', size: 256, epsilon: 1e-6, offset: 1 },
        ],
      },
    },
  ],
  alike: [
    [
      six,
      { ...six, layer_types: kinds },
      {
        ...{ ...six, rope_theta: undefined, rope_local_base_freq: undefined, rope_scaling: undefined },
        rope_parameters: {
          full_attention: { rope_type: 'default', rope_theta: 1e6 },
          sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
        },
      },
    ],
    // Scaling is for the layers without a window alone.
    [
      { ...six, rope_scaling: { rope_type: 'linear', factor: 8 } },
      {
        ...{ ...six, rope_theta: undefined, rope_local_base_freq: undefined },
        rope_parameters: {
          full_attention: { rope_type: 'linear', rope_theta: 1e6, factor: 8 },
          sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
        },
      },
    ],
  ],
  invalid: [
    {
      fields: { ...six, sliding_window_pattern: 0 },
      messages: [/sliding_window_pattern is 0; expected a positive integer/],
    },
    { fields: { ...six, query_pre_attn_scalar: 'all' }, messages: [/query_pre_attn_scalar is "all"/] },
  ],
});
