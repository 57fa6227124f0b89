import { families, readLlamaSpec, type Family, type FieldReader } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Qwen2 and Qwen2.5: `Qwen2ForCausalLM` of transformers. */
export const qwen2Family: Family = {
  kind: 'qwen2',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => ({
        maxPositions: fields.integer('max_position_embeddings', 32768),
        slidingWindow: readWindows(fields),
        // Always there, and no field says so.
        biased: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
      }),
      { keyValueHeads: 32, ignoresPartialRotary: true },
    ),
};

/** The plugin: reads checkpoints whose `model_type` is `qwen2`. */
export const familyQwen2 = (): Plugin<never> =>
  definePlugin({
    name: 'glulam-plugin-family-qwen2',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => qwen2Family }),
  });
export default familyQwen2;

const typeNames = ['full_attention', 'sliding_attention'];

/**
 * A window a layer. Published configs count from which layer on there is one (`max_window_layers`), and most of them name a
 * window that is not used; configs of transformers 5 have a list besides (`layer_types`), which goes first.
 */
function readWindows(fields: FieldReader): number | readonly number[] {
  // All are read first: a field that is looked at is not reported as one without effect.
  const used = fields.boolean('use_sliding_window', false);
  const window = fields.raw('sliding_window') === null ? 0 : fields.integer('sliding_window', 4096);
  const first = fields.raw('max_window_layers') === 0 ? 0 : fields.integer('max_window_layers', 28);
  const layers = fields.integer('num_hidden_layers');
  const types = fields.raw('layer_types') ?? undefined;
  if (!used || window === 0) return 0;
  if (types === undefined) return Array.from({ length: layers }, (_, layer) => (layer < first ? 0 : window));
  if (Array.isArray(types) && types.length === layers && types.every((type) => typeNames.includes(type as string)))
    return types.map((type) => (type === 'sliding_attention' ? window : 0));
  fields.fault(
    `layer_types is ${JSON.stringify(types)}; expected ${layers} of ${typeNames.map((name) => `"${name}"`).join(' or ')}`,
  );
  return 0;
}
