import { quoteValue } from '@glulam/files';
import { createFieldReader, type CheckpointConfig, type FieldReader } from './checkpoint-config.js';
import type { AttentionSpec, GgufNames, LayerSpec, LinearSpec, MlpSpec, ModelSpec } from './model-spec.js';
import { readRope, type RopeOptions } from './read-rope.js';
import { mostLayers } from '../expansion/virtual-layer.js';

/** The linear layers of a decoder layer in the Llama layout, by their module path below it. */
export const llamaLinears = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;
/** One of `llamaLinears`. */
export type LlamaLinear = (typeof llamaLinears)[number];

/** What sets one family of the Llama layout apart from another. */
export interface LlamaTraits {
  /** Tokens of the longest sequence that the model reads. */
  readonly maxPositions: number;
  /** How many last tokens a token sees, itself included; 0 means all before it. A list has one per physical layer. */
  readonly slidingWindow: number | readonly number[];
  /** Linear layers with a bias in the checkpoint. */
  readonly biased: readonly LlamaLinear[];
}

/** Where the reference's class of a family differs from Llama's in fields that every family has. */
interface LlamaDefaults extends Pick<RopeOptions, 'ignoresPartialRotary'> {
  /** `num_key_value_heads` where the config lacks it; null always means as many as there are heads. Default: the same. */
  readonly keyValueHeads?: number | undefined;
}

const gguf: GgufNames = {
  architecture: 'llama',
  turnsNeighbours: true,
  tensors: {
    'model.embed_tokens': 'token_embd',
    'model.norm': 'output_norm',
    lm_head: 'output',
    input_layernorm: 'attn_norm',
    post_attention_layernorm: 'ffn_norm',
    'self_attn.q_proj': 'attn_q',
    'self_attn.k_proj': 'attn_k',
    'self_attn.v_proj': 'attn_v',
    'self_attn.o_proj': 'attn_output',
    'mlp.gate_proj': 'ffn_gate',
    'mlp.up_proj': 'ffn_up',
    'mlp.down_proj': 'ffn_down',
  },
};

/**
 * The spec of a model in the Llama layout (the field and tensor names of transformers' `LlamaForCausalLM`, which many
 * families share), its own traits read by `traits`. A family whose layers differ from these changes the result.
 *
 * @throws ModelError CONFIG_INVALID that names every faulty field
 */
export function readLlamaSpec(
  config: CheckpointConfig,
  traits: (fields: FieldReader) => LlamaTraits,
  defaults: LlamaDefaults = {},
): ModelSpec {
  const fields = createFieldReader(config);
  const heads = fields.integer('num_attention_heads');
  const hiddenSize = fields.integer('hidden_size');
  const missing = fields.raw('num_key_value_heads') === undefined;
  const keyValueHeads = fields.integer('num_key_value_heads', (missing ? defaults.keyValueHeads : undefined) ?? heads);
  const headSize = fields.integer('head_dim', Math.floor(hiddenSize / heads));
  const physicalLayers = fields.integer('num_hidden_layers');
  if (physicalLayers > mostLayers)
    fields.fault(`num_hidden_layers is ${physicalLayers}; no model has more than ${mostLayers}`);
  const activation = fields.raw('hidden_act') ?? 'silu';
  // transformers has it under two names.
  if (activation !== 'silu' && activation !== 'swish')
    fields.fault(`hidden_act is ${quoteValue(activation)}; expected "silu"`);
  if (heads % keyValueHeads !== 0) {
    fields.fault(`num_attention_heads ${heads} is no multiple of num_key_value_heads ${keyValueHeads}`);
  }
  if (headSize % 2 !== 0) fields.fault(`head_dim is ${headSize}; rotary embedding expects an even number`);
  const vocabularySize = fields.integer('vocab_size');
  const { maxPositions, slidingWindow, biased } = traits(fields);
  if (typeof slidingWindow !== 'number' && slidingWindow.length !== physicalLayers)
    fields.fault(`the family gives ${slidingWindow.length} windows; expected one for each of ${physicalLayers} layers`);
  const intermediateSize = fields.integer('intermediate_size');
  const paddingRow = readPaddingRow(fields, vocabularySize);
  const epsilon = fields.number('rms_norm_eps', 1e-6);
  const { ignoresPartialRotary } = defaults;
  const rope = { settings: readRope(fields, { maxPositions, ignoresPartialRotary }), dimensions: headSize };
  const tied = fields.boolean('tie_word_embeddings', false);
  fields.finish();

  const linear = (name: LlamaLinear, role: string, [outFeatures, inFeatures]: [number, number]): LinearSpec => ({
    name,
    role,
    inFeatures,
    outFeatures,
    bias: biased.includes(name),
    writesResidual: role === 'output' || role === 'down',
  });
  const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
  const attention = (window: number): AttentionSpec => ({
    kind: 'attention',
    norm: { name: 'input_layernorm', epsilon },
    linears: [
      linear('self_attn.q_proj', 'query', [queries, hiddenSize]),
      linear('self_attn.k_proj', 'key', [keys, hiddenSize]),
      linear('self_attn.v_proj', 'value', [keys, hiddenSize]),
      linear('self_attn.o_proj', 'output', [hiddenSize, queries]),
    ],
    rope,
    keyValueWidth: keys,
    heads,
    keyValueHeads,
    headSize,
    scale: 1 / Math.sqrt(headSize),
    window,
  });
  const mlp: MlpSpec = {
    kind: 'mlp',
    norm: { name: 'post_attention_layernorm', epsilon },
    linears: [
      linear('mlp.gate_proj', 'gate', [intermediateSize, hiddenSize]),
      linear('mlp.up_proj', 'up', [intermediateSize, hiddenSize]),
      linear('mlp.down_proj', 'down', [hiddenSize, intermediateSize]),
    ],
    intermediateSize,
  };
  const layer = (index: number): LayerSpec => ({
    blocks: [attention(typeof slidingWindow === 'number' ? slidingWindow : slidingWindow[index]!), mlp],
  });
  return {
    hiddenSize,
    vocabularySize,
    maxPositions,
    embedding: { name: 'model.embed_tokens', paddingRow },
    layersPath: 'model.layers',
    layers: Array.from({ length: physicalLayers }, (_, index) => layer(index)),
    finalNorm: { name: 'model.norm', epsilon },
    head: { name: 'lm_head', tied },
    gguf,
  };
}

/** PyTorch's `padding_idx`: a negative one counts from the end. */
function readPaddingRow(fields: FieldReader, rows: number): number | undefined {
  const id = fields.raw('pad_token_id') ?? undefined;
  if (id === undefined) return undefined;
  if (!Number.isSafeInteger(id)) {
    fields.fault(`pad_token_id is ${quoteValue(id)}; expected a whole number or null`);
    return undefined;
  }
  const row = (id as number) < 0 ? (id as number) + rows : (id as number);
  if (row >= 0 && row < rows) return row;
  fields.ignored(`pad_token_id is ${quoteValue(id)}, which has no effect: the embedding has ${rows} rows`);
  return undefined;
}
