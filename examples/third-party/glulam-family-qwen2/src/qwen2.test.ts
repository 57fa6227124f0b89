import { testFamily } from '@glulam/testing';
import { qwen2Family } from './index.js';

// As published with Qwen2.5-0.5B and Qwen2-7B.
const small = {
  ...{ hidden_size: 896, intermediate_size: 4864, num_hidden_layers: 24, num_attention_heads: 14 },
  ...{ num_key_value_heads: 2, vocab_size: 151936, rms_norm_eps: 1e-6, max_position_embeddings: 32768 },
  ...{ rope_theta: 1000000, tie_word_embeddings: true, hidden_act: 'silu', torch_dtype: 'bfloat16' },
  ...{ use_sliding_window: false, sliding_window: 32768, max_window_layers: 24 },
};
const large = {
  ...{ hidden_size: 3584, intermediate_size: 18944, num_hidden_layers: 28, num_attention_heads: 28 },
  ...{ num_key_value_heads: 4, vocab_size: 152064, rms_norm_eps: 1e-6, max_position_embeddings: 131072 },
  ...{ rope_theta: 1000000, tie_word_embeddings: false, hidden_act: 'silu', torch_dtype: 'bfloat16' },
  ...{ use_sliding_window: false, sliding_window: 131072, max_window_layers: 28 },
};
const four = { ...small, num_hidden_layers: 4, use_sliding_window: true, sliding_window: 512, max_window_layers: 3 };

testFamily(qwen2Family, {
  valid: [
    {
      fields: small,
      spec: { head: { name: 'lm_head', tied: true } },
      attention: { headSize: 64, window: 0, rope: { settings: { type: 'default', theta: 1e6 }, dimensions: 64 } },
      biased: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
    },
    {
      fields: large,
      spec: { head: { name: 'lm_head', tied: false } },
      layers: 28,
      attention: { headSize: 128, window: 0 },
    },
    { fields: four, windows: [0, 0, 0, 512] },
    { fields: { ...four, max_window_layers: 0 }, windows: [512, 512, 512, 512] },
    { fields: { ...four, sliding_window: null }, windows: [0, 0, 0, 0] },
  ],
  alike: [
    [
      { ...four, layer_types: ['full_attention', 'full_attention', 'full_attention', 'sliding_attention'] },
      { ...four, rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 1000000 } },
    ],
  ],
  invalid: [
    {
      fields: { ...four, layer_types: ['full_attention'] },
      messages: [/layer_types is \["full_attention"\]; expected 4/],
    },
    { fields: { ...small, use_sliding_window: 1 }, messages: [/use_sliding_window is 1; expected true or false/] },
    { fields: { ...small, rope_scaling: { type: 'yarn', factor: 4 } }, messages: [/rope type "yarn" is not known/] },
  ],
});
