import {
  families,
  isRecord,
  llamaGgufTensors,
  readLlamaSpec,
  readShare,
  type Family,
  type FieldReader,
} from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';

/** Phi-3, 3.5 and 4 with text alone: `Phi3ForCausalLM` of transformers. */
export const phi3Family: Family = {
  kind: 'phi3',
  describe: (config) =>
    readLlamaSpec(
      config,
      (fields) => {
        // Configs have it with every rotary embedding, and longrope alone goes by it.
        fields.integer('original_max_position_embeddings', 4096);
        if (fields.boolean('attention_bias', false))
          fields.ignored(
            'attention_bias is true, which has no effect: the layers of Phi-3 have no biases, in transformers either',
          );
        for (const name of ['resid_pdrop', 'embd_pdrop'])
          if ((fields.raw(name) ?? 0) !== 0)
            fields.ignored(`${name}: transformers drops activations in training, Glulam does not`);
        return {
          maxPositions: fields.integer('max_position_embeddings', 4096),
          slidingWindow:
            (fields.raw('sliding_window') ?? undefined) === undefined ? 0 : fields.integer('sliding_window'),
          biased: [],
          turned: readTurned(fields),
        };
      },
      {
        epsilon: 1e-5,
        paddingRow: 32000,
        fused: true,
        // The published configs' first names of it.
        ropeAliases: { su: 'longrope', yarn: 'longrope' },
        gguf: {
          architecture: 'phi3',
          turnsNeighbours: false,
          tensors: { ...llamaGgufTensors, 'self_attn.qkv_proj': 'attn_qkv', 'mlp.gate_up_proj': 'ffn_up' },
        },
      },
    ),
};

/** The share of each head that is turned. */
function readTurned(fields: FieldReader): number {
  const scaling = fields.raw('rope_scaling');
  const parameters = fields.raw('rope_parameters');
  const inside = [scaling, parameters].map((record) =>
    isRecord(record) ? (record['partial_rotary_factor'] ?? undefined) : undefined,
  );
  return readShare(fields, 'partial_rotary_factor', inside[0] ?? inside[1]);
}

/** The plugin: reads checkpoints whose `model_type` is `phi3`. */
export const familyPhi = (): Plugin<never> =>
  definePlugin({
    name: '@glulam/family-phi',
    contract: 2,
    register: (registry) => registry.contribute(families, { create: () => phi3Family }),
  });
