import { quoteValue } from '@glulam/files';
import { createFieldReader, type CheckpointConfig, type FieldReader } from './checkpoint-config.js';
import type {
  Activation,
  AttentionSpec,
  GgufNames,
  InnerNormSpec,
  LayerSpec,
  LinearSpec,
  MlpSpec,
  ModelSpec,
  NormSpec,
  RopeSpec,
} from './model-spec.js';
import type { RopeSettings } from '../decoder/rope.js';
import { readRope, type RopeReadOptions } from './read-rope.js';
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

/** The linear layers that have a bias by these of a config's fields, each false where it is missing. */
export function readBiased(
  fields: FieldReader,
  names: readonly ('attention_bias' | 'mlp_bias')[],
): readonly LlamaLinear[] {
  const isSet = (name: 'attention_bias' | 'mlp_bias'): boolean => names.includes(name) && fields.boolean(name, false);
  const [attention, mlp] = [isSet('attention_bias'), isSet('mlp_bias')];
  return llamaLinears.filter((name) => (name.startsWith('self_attn.') ? attention : mlp));
}

/** Where a layer of the Llama layout has its norms: before its blocks, after them, or both. */
type NormPlaces = 'before' | 'after' | 'both';

/** What sets one family of the Llama layout apart from another, as far as its config says it. */
export interface LlamaTraits {
  /** Tokens of the longest sequence that the model reads. */
  readonly maxPositions: number;
  /** How many last tokens a token sees, itself included; 0 means all before it. A list has one per physical layer. */
  readonly slidingWindow: number | readonly number[];
  /** Linear layers with a bias in the checkpoint. */
  readonly biased: readonly LlamaLinear[];
  /** The rotary embedding of each layer, `undefined` where it has none. Default: the config's one for all of them. */
  readonly ropes?: readonly (RopeSettings | undefined)[];
  /** The share of a head's elements that are turned; default: 1. */
  readonly turned?: number;
  /** Multiplies the scores; default: 1 / sqrt(head size). */
  readonly scale?: number;
  /** See `AttentionSpec.softCap`. */
  readonly scoreCap?: number | undefined;
  /** See `ModelSpec.head`. */
  readonly logitCap?: number | undefined;
  /** See `ModelSpec.head`. */
  readonly headInputScale?: number;
  /** See `ModelSpec.embedding`. */
  readonly embeddingScale?: ModelSpec['embedding']['scale'];
  /** See `BlockSpec.outputScale`. */
  readonly outputScale?: number;
}

/** Where the reference's class of a family differs from Llama's. */
export interface LlamaDefaults extends Pick<RopeReadOptions, 'ignoresPartialRotary' | 'theta'> {
  /** `num_key_value_heads` where the config lacks it; null always means as many as there are heads. Default: the same. */
  readonly keyValueHeads?: number | undefined;
  /** `head_dim` where the config lacks it; default: hidden size / heads. */
  readonly headSize?: number;
  /** `tie_word_embeddings` where the config lacks it; default: false. */
  readonly tied?: boolean;
  /** `rms_norm_eps` where the config lacks it; default: 1e-6. */
  readonly epsilon?: number;
  /** `pad_token_id` where the config lacks it; default: none. */
  readonly paddingRow?: number;
  /** The field that names the activation, and the names that it may have; default: `hidden_act`, silu. */
  readonly activation?: { readonly field: string; readonly is: Activation };
  /** Default: before. */
  readonly norms?: NormPlaces;
  /** Added to the stored weights of norms; default: 0. */
  readonly normOffset?: number;
  /** Queries and keys are normalized: over each head, or over a row whole. Default: not. */
  readonly queryKeyNorm?: 'head' | 'row';
  /** Queries, keys and values are one linear layer, `qkv_proj`, and gate and up are one, `gate_up_proj`. */
  readonly fused?: boolean;
  /** See `RopeReadOptions.aliases`. */
  readonly ropeAliases?: Readonly<Record<string, string>>;
  /** Default: those of llama.cpp's architecture `llama`. */
  readonly gguf?: GgufNames;
}

/** llama.cpp's names of the tensors that most of its architectures share. */
export const llamaGgufTensors: GgufNames['tensors'] = {
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
};

/** llama.cpp's names of the norms of queries and keys. */
export const queryKeyNormGgufTensors: GgufNames['tensors'] = {
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
};

const llamaGguf: GgufNames = { architecture: 'llama', turnsNeighbours: true, tensors: llamaGgufTensors };

/** transformers has silu under two names. */
const activationNames: Readonly<Record<Activation, readonly string[]>> = {
  silu: ['silu', 'swish'],
  gelu_pytorch_tanh: ['gelu_pytorch_tanh'],
};

/** The norms of the two blocks of a layer. */
const normNames: Readonly<Record<NormPlaces, readonly { readonly norm?: string; readonly outputNorm?: string }[]>> = {
  before: [{ norm: 'input_layernorm' }, { norm: 'post_attention_layernorm' }],
  after: [{ outputNorm: 'post_attention_layernorm' }, { outputNorm: 'post_feedforward_layernorm' }],
  both: [
    { norm: 'input_layernorm', outputNorm: 'post_attention_layernorm' },
    { norm: 'pre_feedforward_layernorm', outputNorm: 'post_feedforward_layernorm' },
  ],
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
  const headSize = fields.integer('head_dim', defaults.headSize ?? Math.floor(hiddenSize / heads));
  const physicalLayers = fields.integer('num_hidden_layers');
  if (physicalLayers > mostLayers)
    fields.fault(`num_hidden_layers is ${physicalLayers}; no model has more than ${mostLayers}`);
  const { field, is: activation } = defaults.activation ?? { field: 'hidden_act', is: 'silu' };
  const named = fields.raw(field) ?? activation;
  if (!activationNames[activation].some((name) => name === named))
    fields.fault(`${field} is ${quoteValue(named)}; expected "${activation}"`);
  if (heads % keyValueHeads !== 0) {
    fields.fault(`num_attention_heads ${heads} is no multiple of num_key_value_heads ${keyValueHeads}`);
  }
  const vocabularySize = fields.integer('vocab_size');
  const own = traits(fields);
  const { maxPositions, slidingWindow, biased, turned = 1, outputScale, scoreCap, logitCap } = own;
  const dimensions = Math.floor(headSize * turned);
  if (dimensions % 2 !== 0)
    fields.fault(
      turned === 1
        ? `head_dim is ${headSize}; rotary embedding expects an even number`
        : `${dimensions} of head_dim ${headSize} elements are turned; rotary embedding expects an even number`,
    );
  for (const [what, { length }] of [
    ['windows', typeof slidingWindow === 'number' ? { length: physicalLayers } : slidingWindow],
    ['rotary embeddings', own.ropes ?? { length: physicalLayers }],
  ] as const)
    if (length !== physicalLayers && physicalLayers <= mostLayers)
      fields.fault(`the family gives ${length} ${what}; expected one for each of ${physicalLayers} layers`);
  const intermediateSize = fields.integer('intermediate_size');
  const paddingRow = readPaddingRow(fields, vocabularySize, defaults.paddingRow);
  const epsilon = fields.number('rms_norm_eps', defaults.epsilon ?? 1e-6);
  const { ignoresPartialRotary, theta, ropeAliases } = defaults;
  const one =
    own.ropes === undefined
      ? readRope(fields, { maxPositions, ignoresPartialRotary, theta, turned, dimensions, aliases: ropeAliases })
      : undefined;
  const tied = fields.boolean('tie_word_embeddings', defaults.tied ?? false);
  fields.finish();

  const { norms = 'before', normOffset = 0, queryKeyNorm, fused = false } = defaults;
  const norm = (name: string): NormSpec => ({ name, epsilon, ...(normOffset === 0 ? {} : { offset: normOffset }) });
  const around = normNames[norms].map((names) => ({
    ...(names.norm === undefined ? {} : { norm: norm(names.norm) }),
    ...(names.outputNorm === undefined ? {} : { outputNorm: norm(names.outputNorm) }),
    ...(outputScale === undefined ? {} : { outputScale }),
  }));
  const linear = (name: string, role: string, [outFeatures, inFeatures]: [number, number]): LinearSpec => ({
    name,
    role,
    inFeatures,
    outFeatures,
    bias: biased.some((each) => each === name),
    writesResidual: role === 'output' || role === 'down',
  });
  const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
  const innerNorms = (['query', 'key'] as const).map((role): InnerNormSpec => ({
    ...norm(role === 'query' ? 'self_attn.q_norm' : 'self_attn.k_norm'),
    role,
    size: queryKeyNorm === 'head' ? headSize : role === 'query' ? queries : keys,
  }));
  const ropeSpecs = new Map<RopeSettings, RopeSpec>();
  const ropeAt = (index: number): RopeSpec | undefined => {
    const settings = own.ropes === undefined ? one : own.ropes[index];
    if (settings === undefined) return undefined;
    if (!ropeSpecs.has(settings)) ropeSpecs.set(settings, { settings, dimensions });
    return ropeSpecs.get(settings);
  };
  const attention = (index: number): AttentionSpec => ({
    kind: 'attention',
    ...around[0],
    linears: [
      ...(fused
        ? [linear('self_attn.qkv_proj', 'queryKeyValue', [queries + 2 * keys, hiddenSize])]
        : [
            linear('self_attn.q_proj', 'query', [queries, hiddenSize]),
            linear('self_attn.k_proj', 'key', [keys, hiddenSize]),
            linear('self_attn.v_proj', 'value', [keys, hiddenSize]),
          ]),
      linear('self_attn.o_proj', 'output', [hiddenSize, queries]),
    ],
    ...(queryKeyNorm === undefined ? {} : { innerNorms }),
    rope: ropeAt(index),
    keyValueWidth: keys,
    heads,
    keyValueHeads,
    headSize,
    scale: own.scale ?? 1 / Math.sqrt(headSize),
    ...(scoreCap === undefined ? {} : { softCap: scoreCap }),
    window: typeof slidingWindow === 'number' ? slidingWindow : slidingWindow[index]!,
  });
  const mlp: MlpSpec = {
    kind: 'mlp',
    ...around[1],
    linears: [
      ...(fused
        ? [linear('mlp.gate_up_proj', 'gateUp', [2 * intermediateSize, hiddenSize])]
        : [
            linear('mlp.gate_proj', 'gate', [intermediateSize, hiddenSize]),
            linear('mlp.up_proj', 'up', [intermediateSize, hiddenSize]),
          ]),
      linear('mlp.down_proj', 'down', [hiddenSize, intermediateSize]),
    ],
    intermediateSize,
    ...(activation === 'silu' ? {} : { activation }),
  };
  return {
    hiddenSize,
    vocabularySize,
    maxPositions,
    embedding: {
      name: 'model.embed_tokens',
      paddingRow,
      ...(own.embeddingScale === undefined ? {} : { scale: own.embeddingScale }),
    },
    layersPath: 'model.layers',
    layers: Array.from({ length: physicalLayers }, (_, index): LayerSpec => ({ blocks: [attention(index), mlp] })),
    finalNorm: norm('model.norm'),
    head: {
      name: 'lm_head',
      tied,
      ...(own.headInputScale === undefined ? {} : { inputScale: own.headInputScale }),
      ...(logitCap === undefined ? {} : { softCap: logitCap }),
    },
    gguf: defaults.gguf ?? llamaGguf,
  };
}

/** PyTorch's `padding_idx`: a negative one counts from the end. */
function readPaddingRow(fields: FieldReader, rows: number, fallback: number | undefined): number | undefined {
  const given = fields.raw('pad_token_id');
  const id = given === undefined ? fallback : (given ?? undefined);
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
