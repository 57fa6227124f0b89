import {
  families,
  isRecord,
  llamaGgufTensors,
  readBiased,
  queryKeyNormGgufTensors,
  readLayerTypes,
  readLlamaSpec,
  readRope,
  readRopeRecord,
  type Family,
  type FieldReader,
  type GgufGraph,
  type GgufNames,
  type LlamaDefaults,
  type LlamaTraits,
} from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

const gguf = (architecture: string, graph: GgufGraph): GgufNames => ({
  architecture,
  graph: { fixesScale: true, scalesEmbedding: true, activation: 'gelu_pytorch_tanh', ...graph },
  turnsNeighbours: false,
  tensors: {
    ...llamaGgufTensors,
    ...queryKeyNormGgufTensors,
    post_attention_layernorm: 'post_attention_norm',
    pre_feedforward_layernorm: 'ffn_norm',
    post_feedforward_layernorm: 'post_ffw_norm',
  },
});

/** What Gemma 2 and 3 have in common: norms around both blocks, whose weights are stored less 1, and gelu. */
const defaults: LlamaDefaults = {
  keyValueHeads: 4,
  headSize: 256,
  tied: true,
  paddingRow: 0,
  activation: { field: 'hidden_activation', is: 'gelu_pytorch_tanh' },
  norms: 'both',
  normOffset: 1,
  ignoresPartialRotary: true,
};

function readTraits(
  fields: FieldReader,
  caps: { readonly scores: number | undefined; readonly logits: number | undefined },
): Omit<LlamaTraits, 'slidingWindow' | 'maxPositions'> {
  if ((fields.raw('use_bidirectional_attention') ?? false) !== false)
    fields.fault('use_bidirectional_attention is true; expected false: tokens see those before them only');
  const { field, is } = defaults.activation!;
  if ((fields.raw('hidden_act') ?? is) !== (fields.raw(field) ?? is))
    fields.ignored('hidden_act has no effect: hidden_activation counts');
  const cap = (name: string, fallback: number | undefined): number | undefined =>
    fields.raw(name) === null || (fields.raw(name) === undefined && fallback === undefined)
      ? undefined
      : fields.number(name, fallback);
  return {
    biased: readBiased(fields, ['attention_bias']),
    scale: fields.number('query_pre_attn_scalar', 256) ** -0.5,
    scoreCap: cap('attn_logit_softcapping', caps.scores),
    logitCap: cap('final_logit_softcapping', caps.logits),
    embeddingScale: { factor: Math.sqrt(fields.integer('hidden_size')), inStoredType: true },
  };
}

/** Gemma 2: `Gemma2ForCausalLM` of transformers. */
export const gemma2Family: Family = {
  kind: 'gemma2',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => ({
        ...readTraits(fields, { scores: 50, logits: 30 }),
        maxPositions: fields.integer('max_position_embeddings', 8192),
        slidingWindow: readLayerTypes(fields, {
          window: fields.integer('sliding_window', 4096),
          slides: (index) => index % 2 === 0,
        }),
      }),
      {
        ...defaults,
        gguf: gguf('gemma2', { keys: ['windows', 'caps'], lastOfPeriod: { lacks: 'window', period: 2 } }),
      },
    ),
};

/** Gemma 3's language model: `Gemma3ForCausalLM` of transformers. Sliding layers have a rotary embedding of their own. */
export const gemma3Family: Family = {
  kind: 'gemma3_text',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        const maxPositions = fields.integer('max_position_embeddings', 131072);
        const pattern = fields.integer('sliding_window_pattern', fields.integer('_sliding_window_pattern', 6));
        const slidingWindow = readLayerTypes(fields, {
          window: fields.integer('sliding_window', 4096),
          slides: (index) => (index + 1) % pattern !== 0,
        });
        const [full, local] = readRopes(fields, maxPositions);
        return {
          ...readTraits(fields, { scores: undefined, logits: undefined }),
          maxPositions,
          slidingWindow,
          ropes: slidingWindow.map((window) => (window > 0 ? local : full)),
        };
      },
      {
        ...defaults,
        queryKeyNorm: 'head',
        gguf: gguf('gemma3', {
          keys: ['windows'],
          lastOfPeriod: { lacks: 'window', period: 6 },
          windowTheta: 1e4,
        }),
      },
    ),
};

/** Of full and of sliding layers. Published configs have `rope_scaling` for full layers alone. */
function readRopes(fields: FieldReader, maxPositions: number) {
  const options = { maxPositions, ignoresPartialRotary: true };
  const nested = fields.raw('rope_parameters');
  const of = (kind: string): Readonly<Record<string, unknown>> | undefined => {
    const own = isRecord(nested) ? nested[kind] : undefined;
    return isRecord(own) ? own : undefined;
  };
  const [full, sliding] = [of('full_attention'), of('sliding_attention')];
  const localTheta = { ...options, theta: 1e4 };
  if (full !== undefined && sliding !== undefined) {
    return [
      readRopeRecord(fields, 'rope_parameters.full_attention', full, { ...options, theta: 1e6 }),
      readRopeRecord(fields, 'rope_parameters.sliding_attention', sliding, localTheta, 'rope_local_base_freq'),
    ] as const;
  }
  return [
    readRope(fields, { ...options, theta: 1e6 }),
    readRopeRecord(fields, 'rope_local_base_freq', {}, localTheta, 'rope_local_base_freq'),
  ] as const;
}

/** The plugin: reads checkpoints whose `model_type` is `gemma2` or `gemma3_text`. */
export const familyGemma = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-gemma',
    contract: 2,
    register(registry) {
      for (const family of [gemma2Family, gemma3Family]) registry.contribute(families, { create: () => family });
    },
  });
