import { point } from '@glulam/plugin';
import type { CheckpointConfig } from './checkpoint-config.js';
import type { RopeSettings } from '../decoder/rope.js';

/** The linear layers of a decoder layer, by their module path below it. */
export const linearNames = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;
/** A linear layer of a decoder layer, see `linearNames`. */
export type LinearName = (typeof linearNames)[number];

/** What the decoder wants to know of a model, in units of elements; everything follows from `config.json`. */
export interface DecoderShape {
  /** Decoder layers of the base. */
  readonly physicalLayers: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width between the MLP's linear layers. */
  readonly intermediateSize: number;
  /** Query heads, a multiple of `keyValueHeads`. */
  readonly heads: number;
  /** Key and value heads, which groups of query heads share. */
  readonly keyValueHeads: number;
  /** Elements of one head; heads * headSize need not be `hiddenSize`. */
  readonly headSize: number;
  /** Rows of the embedding and the head; the tokenizer may have fewer tokens. */
  readonly vocabularySize: number;
  /** Tokens of the longest sequence that the model reads, `max_position_embeddings`. */
  readonly maxPositions: number;
  /** Added to the mean square in every RMS norm. */
  readonly normEpsilon: number;
  /** The rotary embedding. */
  readonly rope: RopeSettings;
  /** How many last tokens a token sees, itself included; 0 means all before it. A list has one a physical layer. */
  readonly slidingWindow: number | readonly number[];
  /** The row of the embedding that gets no gradient from the tokens of a text; a tied head still gives it one. */
  readonly paddingRow?: number | undefined;
  /** The output head is the embedding. */
  readonly tiedHead: boolean;
  /** Linear layers with a bias in the checkpoint. */
  readonly biased: readonly LinearName[];
  /** Names of tensors in the checkpoint. */
  readonly names: {
    readonly embedding: string;
    readonly finalNorm: string;
    readonly head: string;
    /** Path of a physical or virtual decoder layer, such as `model.layers.3`. */
    layer(index: number): string;
    /** Below a layer's path. */
    readonly attentionNorm: string;
    readonly mlpNorm: string;
  };
}

/** Of a physical layer, see `DecoderShape.slidingWindow`. */
export function slidingWindowOf({ slidingWindow }: Pick<DecoderShape, 'slidingWindow'>, physical: number): number {
  return typeof slidingWindow === 'number' ? slidingWindow : slidingWindow[physical]!;
}

/** A name a physical layer, as transformers' `layer_types` has them. */
export function layerTypes(shape: Pick<DecoderShape, 'slidingWindow' | 'physicalLayers'>): string[] {
  return Array.from({ length: shape.physicalLayers }, (_, layer) =>
    slidingWindowOf(shape, layer) > 0 ? 'sliding_attention' : 'full_attention',
  );
}

/** How checkpoints of one architecture are read. `kind` is the `model_type` in their `config.json`. */
export interface Family {
  /** As in `config.json`, such as `mistral`. */
  readonly kind: string;
  /**
   * Reads its fields one by one: each that it looks at counts as followed, and it refuses a value that it does not
   * compute. Fields that no family looks at are checked against the lists in config-keys.ts.
   *
   * @throws ModelError CONFIG_INVALID that names every field it cannot follow
   */
  describe(config: CheckpointConfig): DecoderShape;
}

/** The point at which plugins contribute families. */
export const families = point<Family>('model.families', { describe: 'function' });
