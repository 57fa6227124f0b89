import { families, readLlamaSpec, type Family, type FieldReader } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Mistral 7B and its kin: `MistralForCausalLM` of transformers. */
export const mistralFamily: Family = {
  kind: 'mistral',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        // null in the published config means: no window.
        const slidingWindow = fields.raw('sliding_window') === null ? 0 : fields.integer('sliding_window', 4096);
        checkLayerTypes(fields, slidingWindow);
        return { maxPositions: fields.integer('max_position_embeddings', 4096 * 32), slidingWindow, biased: [] };
      },
      { keyValueHeads: 8, ignoresPartialRotary: true },
    ),
};

/**
 * With `layer_types` transformers' AutoModel takes the config as Ministral's, whose layers slide or not as the list says.
 * Where all are of the kind that `sliding_window` gives them, both compute the same.
 */
function checkLayerTypes(fields: FieldReader, slidingWindow: number): void {
  const types = fields.raw('layer_types') ?? undefined;
  if (types === undefined) return;
  const layers = fields.integer('num_hidden_layers');
  const expected = slidingWindow > 0 ? 'sliding_attention' : 'full_attention';
  if (Array.isArray(types) && types.length === layers && types.every((type) => type === expected)) return;
  fields.fault(
    `layer_types is ${JSON.stringify(types)}; expected none, or "${expected}" for each of ${layers} layers: transformers takes ` +
      'a mistral config with layer_types as Ministral, and layers of both kinds are not supported yet',
  );
}

/** The plugin: reads checkpoints whose `model_type` is `mistral`. */
export const familyMistral = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-mistral',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => mistralFamily }),
  });
