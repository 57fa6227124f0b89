import { quoteValue } from '@glulam/files';
import { createFieldReader, type CheckpointConfig, type FieldReader } from './checkpoint-config.js';
import type { DecoderShape } from './family.js';
import { readRope, type RopeOptions } from './read-rope.js';
import { mostLayers } from '../expansion/virtual-layer.js';

/** What sets one family of the Llama layout apart from another. */
export type FamilyTraits = Pick<DecoderShape, 'slidingWindow' | 'biased' | 'maxPositions'>;

/** Where the reference's class of a family differs from Llama's in fields that every family has. */
interface FamilyDefaults extends Pick<RopeOptions, 'ignoresPartialRotary'> {
  /** `num_key_value_heads` where the config lacks it; null always means as many as there are heads. Default: the same. */
  readonly keyValueHeads?: number | undefined;
}

/**
 * The shape of a model in the Llama layout (the field and tensor names of transformers' `LlamaForCausalLM`, which many
 * families share), its own traits read by `traits`. Throws a ModelError CONFIG_INVALID that names every faulty field.
 */
export function readDecoderShape(
  config: CheckpointConfig,
  traits: (fields: FieldReader) => FamilyTraits,
  defaults: FamilyDefaults = {},
): DecoderShape {
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
  const own = traits(fields);
  const { ignoresPartialRotary } = defaults;
  const shape: DecoderShape = {
    physicalLayers,
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size'),
    heads,
    keyValueHeads,
    headSize,
    vocabularySize,
    paddingRow: readPaddingRow(fields, vocabularySize),
    normEpsilon: fields.number('rms_norm_eps', 1e-6),
    rope: readRope(fields, { maxPositions: own.maxPositions, ignoresPartialRotary }),
    tiedHead: fields.boolean('tie_word_embeddings', false),
    ...own,
    names: {
      embedding: 'model.embed_tokens.weight',
      finalNorm: 'model.norm.weight',
      head: 'lm_head.weight',
      layer: (index) => `model.layers.${index}`,
      attentionNorm: 'input_layernorm.weight',
      mlpNorm: 'post_attention_layernorm.weight',
    },
  };
  fields.finish();
  return shape;
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
