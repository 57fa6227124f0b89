import { testFamily } from '@glulam/testing';
import { mistralFamily } from './index.js';

const base = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 32000,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 32768,
};

const ropeOf = (theta: number, dimensions: number) => ({ settings: { type: 'default' as const, theta }, dimensions });

testFamily(mistralFamily, {
  valid: [
    {
      fields: { ...base, rope_theta: 10000, sliding_window: 4096 },
      spec: { head: { name: 'lm_head', tied: false } },
      layers: 32,
      attention: { headSize: 128, window: 4096, rope: ropeOf(10000, 128) },
    },
    {
      fields: { ...base, head_dim: 64, sliding_window: null, rope_theta: 1e6 },
      attention: { headSize: 64, window: 0, rope: ropeOf(1e6, 64) },
    },
    {
      fields: { ...base, hidden_size: 18, num_attention_heads: 4, num_key_value_heads: 2 },
      attention: { headSize: 4 },
    },
    // The defaults of transformers' MistralConfig.
    { fields: { ...base, num_key_value_heads: undefined }, attention: { keyValueHeads: 8, window: 4096 } },
    { fields: { ...base, num_key_value_heads: null }, attention: { keyValueHeads: 32 } },
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
      { ...base, rope_theta: 5000, rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_theta: 9 } },
      { ...base, rope_theta: 5000, rope_scaling: {}, rope_parameters: { type: 'linear', factor: 2 } },
      { ...base, rope_theta: 5000, rope_scaling: { type: 'default', rope_type: 'linear', factor: 2 } },
    ],
    // AutoModel takes these as Ministral's, which computes the same where all layers are alike.
    [
      { ...base, sliding_window: 64 },
      { ...base, sliding_window: 64, layer_types: Array(32).fill('sliding_attention') },
      { ...base, sliding_window: 64, layer_types: null },
    ],
    [
      { ...base, sliding_window: null },
      { ...base, sliding_window: null, layer_types: Array(32).fill('full_attention') },
    ],
  ],
  invalid: [
    { fields: {}, messages: [/hidden_size is missing/, /num_hidden_layers is missing/, /vocab_size is missing/] },
    { fields: { ...base, hidden_act: 'gelu' }, messages: [/hidden_act is "gelu"; expected "silu"/] },
    { fields: { ...base, num_key_value_heads: 5 }, messages: [/no multiple of num_key_value_heads 5/] },
    {
      fields: { ...base, sliding_window: 64, layer_types: Array(31).fill('full_attention') },
      messages: [/layer_types has 31 entries; expected one of "full_attention" and "sliding_attention" for each of 32/],
    },
    {
      fields: { ...base, layer_types: [...Array<string>(31).fill('full_attention'), 'chunked_attention'] },
      messages: [/layer_types\[31\] is "chunked_attention"; expected one of/],
    },
    {
      fields: { ...base, rope_scaling: { type: 'linear', factor: 2, partial_rotary_factor: 0.5 } },
      messages: [/partial_rotary_factor is 0.5; expected 1/],
    },
    {
      fields: { ...base, rope_parameters: { full_attention: { rope_theta: 5 }, sliding_attention: { rope_theta: 9 } } },
      messages: [/rope_parameters has settings of its own for full_attention and sliding_attention/],
    },
    { fields: { ...base, rope_scaling: 'linear' }, messages: [/rope_scaling is "linear"; expected an object or null/] },
    {
      fields: { ...base, rope_scaling: { rope_type: 'yarn', factor: -4, truncate: 'no' } },
      messages: [/rope's factor is -4; expected a positive number/, /rope's truncate is "no"; expected true or false/],
    },
    {
      fields: { ...base, rope_scaling: { rope_type: 'longrope', short_factor: [1, 2], long_factor: [1, -2] } },
      messages: [
        /rope's short_factor is 2 values; expected 64 positive numbers, one for each pair/,
        /rope's long_factor is 2 values/,
      ],
    },
    {
      fields: { ...base, rope_scaling: { rope_type: 'spiral', factor: 4 } },
      messages: [/rope type "spiral" is not known; expected default, linear, dynamic, yarn, longrope or llama3/],
    },
    {
      fields: { ...base, hidden_size: '4096', rms_norm_eps: -1 },
      messages: [/hidden_size is "4096"/, /rms_norm_eps is -1/],
    },
  ],
});
