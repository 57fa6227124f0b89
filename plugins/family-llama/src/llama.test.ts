import { testFamily } from '@glulam/testing';
import { llamaFamily } from './index.js';

const base = {
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  rms_norm_eps: 1e-5,
};
const embeddingWith = (paddingRow: number | undefined) => ({ embedding: { name: 'model.embed_tokens', paddingRow } });
const llama3 = { factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };

testFamily(llamaFamily, {
  valid: [
    {
      fields: { ...base, tie_word_embeddings: true },
      spec: { head: { name: 'lm_head', tied: true } },
      layers: 16,
      attention: { headSize: 64, window: 0 },
      biased: [],
    },
    // PyTorch's padding_idx.
    { fields: { ...base, pad_token_id: 7 }, spec: embeddingWith(7) },
    { fields: { ...base, pad_token_id: -1 }, spec: embeddingWith(128255) },
    { fields: { ...base, pad_token_id: 128256 }, spec: embeddingWith(undefined) },
    { fields: { ...base, mlp_bias: true }, biased: ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'] },
  ],
  alike: [
    [
      { ...base, rope_theta: 500000, rope_scaling: { rope_type: 'llama3', ...llama3 } },
      { ...base, rope_parameters: { rope_type: 'llama3', rope_theta: 500000, ...llama3 } },
      // The length outside takes precedence, and without any it is that of the model.
      {
        ...{ ...base, rope_theta: 500000, original_max_position_embeddings: 8192 },
        rope_scaling: { rope_type: 'llama3', ...llama3, original_max_position_embeddings: 4 },
      },
    ],
    [
      { ...base, max_position_embeddings: 8192, rope_scaling: { rope_type: 'llama3', ...llama3 } },
      {
        ...{ ...base, max_position_embeddings: 8192 },
        rope_scaling: { rope_type: 'llama3', ...llama3, original_max_position_embeddings: undefined },
      },
    ],
    [base, { ...base, hidden_act: 'swish' }, { ...base, partial_rotary_factor: 0.5, sliding_window: 64 }],
  ],
  invalid: [
    {
      fields: { ...base, pad_token_id: '<pad>' },
      messages: [/pad_token_id is "<pad>"; expected a whole number or null/],
    },
    {
      fields: { ...base, rope_scaling: { rope_type: 'llama3', factor: 8 } },
      messages: [/low_freq_factor is missing/, /high_freq_factor is missing/],
    },
    {
      fields: { ...base, tie_word_embeddings: 'yes' },
      messages: [/tie_word_embeddings is "yes"; expected true or false/],
    },
  ],
});
