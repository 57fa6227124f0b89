import { testFamily } from '@glulam/testing';
import { smollm3Family } from './index.js';

// SmolLM3 3B as published, with fewer layers.
const smollm3 = {
  ...{ hidden_size: 2048, intermediate_size: 11008, num_hidden_layers: 8, num_attention_heads: 16 },
  ...{
    num_key_value_heads: 4,
    vocab_size: 128256,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 65536,
    hidden_act: 'silu',
  },
  ...{ rope_theta: 5000000, rope_scaling: null, use_sliding_window: false, sliding_window: null, pad_token_id: 128004 },
  ...{ no_rope_layer_interval: 4, no_rope_layers: [1, 1, 1, 0, 1, 1, 1, 0], attention_bias: false, mlp_bias: false },
};

testFamily(smollm3Family, {
  valid: [
    {
      fields: smollm3,
      spec: { head: { name: 'lm_head', tied: true } },
      layers: 8,
      attention: { headSize: 128, window: 0 },
      biased: [],
    },
    {
      fields: { ...smollm3, use_sliding_window: true, sliding_window: 64 },
      windows: [0, 0, 0, 64, 0, 0, 0, 64],
    },
  ],
  alike: [
    [smollm3, { ...smollm3, no_rope_layers: undefined }, { ...smollm3, layer_types: Array(8).fill('full_attention') }],
    [
      { ...smollm3, no_rope_layer_interval: 2, no_rope_layers: null },
      { ...smollm3, no_rope_layers: [1, 0, 1, 0, 1, 0, 1, 0] },
    ],
  ],
  invalid: [
    {
      fields: { ...smollm3, no_rope_layers: [1, 0] },
      messages: [/no_rope_layers has 2 entries; expected one of 0 and 1 for each of 8 layers/],
    },
    {
      fields: { ...smollm3, no_rope_layers: [1, 1, 1, 2, 1, 1, 1, 0] },
      messages: [/no_rope_layers\[3\] is 2; expected one of 0 and 1/],
    },
  ],
});
