import {
  eachLayer,
  families,
  llamaGgufTensors,
  readBiased,
  readLayerList,
  readLlamaSpec,
  readRope,
  type Family,
} from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** SmolLM3: `SmolLM3ForCausalLM` of transformers. Some layers have no rotary embedding. */
export const smollm3Family: Family = {
  kind: 'smollm3',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        const maxPositions = fields.integer('max_position_embeddings', 32768);
        const interval = fields.integer('no_rope_layer_interval', 4);
        // The list holds 1 for a layer with a rotary embedding.
        const turns = readLayerList(fields, 'no_rope_layers', [0, 1]) ?? [];
        const isTurned = (index: number): boolean => (turns[index] ?? ((index + 1) % interval === 0 ? 0 : 1)) === 1;
        const slides = fields.boolean('use_sliding_window', false);
        const window = slides && fields.raw('sliding_window') !== null ? fields.integer('sliding_window') : 0;
        const types = readLayerList(fields, 'layer_types', ['full_attention', 'sliding_attention']);
        const rope = readRope(fields, { maxPositions, ignoresPartialRotary: true, theta: 2e6 });
        return {
          maxPositions,
          slidingWindow: eachLayer(fields, (index) => {
            const isSliding = types === undefined ? !isTurned(index) : types[index] === 'sliding_attention';
            return isSliding ? window : 0;
          }),
          ropes: eachLayer(fields, (index) => (isTurned(index) ? rope : undefined)),
          biased: readBiased(fields, ['attention_bias', 'mlp_bias']),
        };
      },
      {
        keyValueHeads: 4,
        tied: true,
        paddingRow: 128004,
        gguf: {
          architecture: 'smollm3',
          turnsNeighbours: true,
          tensors: llamaGgufTensors,
          graph: { lastOfPeriod: { lacks: 'rope', period: 4 } },
        },
      },
    ),
};

/** The plugin: reads checkpoints whose `model_type` is `smollm3`. */
export const familySmollm = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-smollm',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => smollm3Family }),
  });
