import { testFamily } from '@glulam/testing';
import { phi3Family } from './index.js';

// Phi-3 mini 4k and Phi-3.5 mini as published.
const mini = {
  ...{ hidden_size: 3072, intermediate_size: 8192, num_hidden_layers: 32, num_attention_heads: 32 },
  ...{ num_key_value_heads: 32, vocab_size: 32064, rms_norm_eps: 1e-5, max_position_embeddings: 4096 },
  ...{ original_max_position_embeddings: 4096, rope_theta: 10000, rope_scaling: null, sliding_window: 2047 },
  ...{ tie_word_embeddings: false, hidden_act: 'silu', pad_token_id: 32000, resid_pdrop: 0, embd_pdrop: 0 },
};
const factors = (factor: number) => Array.from({ length: 48 }, (_, i) => factor + i / 10);
const long = {
  ...{ ...mini, max_position_embeddings: 131072, sliding_window: 262144 },
  rope_scaling: { type: 'longrope', short_factor: factors(1), long_factor: factors(2) },
};
const settings = {
  ...{
    type: 'longrope' as const,
    theta: 10000,
    shortFactor: factors(1),
    longFactor: factors(2),
    originalMaxPositions: 4096,
  },
  attentionFactor: Math.sqrt(1 + Math.log(32) / Math.log(4096)),
};

testFamily(phi3Family, {
  valid: [
    { fields: mini, layers: 32, attention: { headSize: 96, window: 2047 }, biased: [] },
    { fields: long, attention: { rope: { settings, dimensions: 96 } } },
    {
      fields: { ...mini, sliding_window: null, partial_rotary_factor: 0.75 },
      attention: { window: 0, rope: { settings: { type: 'default', theta: 10000 }, dimensions: 72 } },
    },
  ],
  alike: [
    [
      long,
      { ...long, rope_scaling: { ...long.rope_scaling, type: 'su' } },
      { ...long, rope_scaling: { ...long.rope_scaling, type: 'yarn' } },
      {
        ...{ ...long, rope_theta: undefined, rope_scaling: undefined },
        rope_parameters: {
          ...long.rope_scaling,
          type: undefined,
          rope_type: 'longrope',
          rope_theta: 10000,
          partial_rotary_factor: 1,
        },
      },
    ],
    [
      { ...mini, partial_rotary_factor: 0.75 },
      { ...mini, rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.75 } },
    ],
  ],
  invalid: [
    {
      fields: { ...mini, partial_rotary_factor: 1.5 },
      messages: [/partial_rotary_factor is 1.5; expected a number above 0 and at most 1/],
    },
    {
      fields: { ...long, rope_scaling: { type: 'longrope', short_factor: factors(1), long_factor: [1] } },
      messages: [/rope's long_factor is 1 values; expected 48 positive numbers/],
    },
    {
      fields: { ...mini, partial_rotary_factor: 0.7 },
      messages: [/67 of head_dim 96 elements are turned; rotary embedding expects an even/],
    },
  ],
});
