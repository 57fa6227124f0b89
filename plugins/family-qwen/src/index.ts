import {
  families,
  llamaGgufTensors,
  readBiased,
  queryKeyNormGgufTensors,
  readLayerTypes,
  readLlamaSpec,
  type Family,
  type FieldReader,
  type GgufNames,
} from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

const gguf = (architecture: string): GgufNames => ({
  architecture,
  turnsNeighbours: false,
  tensors: { ...llamaGgufTensors, ...queryKeyNormGgufTensors },
});

/** Without `layer_types` layers from `max_window_layers` on slide, where `use_sliding_window` is set. */
function readWindows(fields: FieldReader): readonly number[] {
  const slides = fields.boolean('use_sliding_window', false);
  const isNone = fields.raw('sliding_window') === null;
  const window = slides && !isNone ? fields.integer('sliding_window', 4096) : 0;
  const first = fields.raw('max_window_layers') === 0 ? 0 : fields.integer('max_window_layers', 28);
  return readLayerTypes(fields, { window, slides: (index) => index >= first });
}

const qkv = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const;

/** Qwen 2 and 2.5: `Qwen2ForCausalLM` of transformers. */
export const qwen2Family: Family = {
  kind: 'qwen2',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => ({
        maxPositions: fields.integer('max_position_embeddings', 32768),
        slidingWindow: readWindows(fields),
        biased: qkv,
      }),
      { keyValueHeads: 32, ignoresPartialRotary: true, gguf: gguf('qwen2') },
    ),
};

/** Qwen 3 without experts: `Qwen3ForCausalLM` of transformers. */
export const qwen3Family: Family = {
  kind: 'qwen3',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        return {
          maxPositions: fields.integer('max_position_embeddings', 32768),
          slidingWindow: readWindows(fields),
          biased: readBiased(fields, ['attention_bias']),
        };
      },
      { keyValueHeads: 32, headSize: 128, queryKeyNorm: 'head', ignoresPartialRotary: true, gguf: gguf('qwen3') },
    ),
};

/** The plugin: reads checkpoints whose `model_type` is `qwen2` or `qwen3`. */
export const familyQwen = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-qwen',
    contract: 2,
    register(registry) {
      for (const family of [qwen2Family, qwen3Family]) registry.contribute(families, { create: () => family });
    },
  });
