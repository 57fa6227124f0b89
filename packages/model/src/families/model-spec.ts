import type { RopeSettings } from '../decoder/rope.js';

/*
 * A model as data. A family makes a `ModelSpec` of `config.json`; the decoder, adapters, merging, exports and plans read
 * it and know no architecture by name. Sizes are in elements.
 */

/** A linear layer [out, in] of a decoder layer, as PEFT sees it: a site for adapters. */
export interface LinearSpec {
  /** Module path below the layer, such as `self_attn.q_proj`; unique within the layer. */
  readonly name: string;
  /** What its block uses it for, such as `query`; unique within the block. */
  readonly role: string;
  /** Columns of the weight. */
  readonly inFeatures: number;
  /** Rows of the weight. */
  readonly outFeatures: number;
  /** The checkpoint has a bias for it. */
  readonly bias: boolean;
  /**
   * Its output is what its block adds to the residual stream. Residual scales and gates are merged into it, and it is zero
   * where a virtual layer starts at zero.
   */
  readonly writesResidual: boolean;
}

/** An RMS norm. */
export interface NormSpec {
  /** Module path: below the layer, or whole for the final norm. Its tensor is `<name>.weight`, [hidden]. */
  readonly name: string;
  /** Added to the mean square. */
  readonly epsilon: number;
  /** Added to the stored weight, 1 in Gemma's checkpoints; default: 0. */
  readonly offset?: number;
}

/** An RMS norm within a block, such as that of queries. */
export interface InnerNormSpec extends NormSpec {
  /** What its block uses it for, such as `query`; unique within the block. */
  readonly role: string;
  /** Elements that are normalized together: a head's, or a whole row's. The tensor is [size]. */
  readonly size: number;
}

/** A vector that is neither a norm nor a bias, for blocks of a family's own. */
export interface VectorSpec {
  /** Name of the tensor below the layer, such as `mixer.gain`. */
  readonly name: string;
  /** What its block uses it for; unique within the block. */
  readonly role: string;
  /** Its length. */
  readonly size: number;
}

/** A rotary embedding of queries and keys. */
export interface RopeSpec {
  /** How positions turn into angles. */
  readonly settings: RopeSettings;
  /** How many elements of a head it turns. */
  readonly dimensions: number;
}

/**
 * One sub-layer: it reads the residual stream through its norm, and the sum of the outputs of the linear layers that write
 * the residual stream is added to it, normalized and scaled where the spec says so.
 */
export interface BlockSpec {
  /** Which function runs it: `attention`, `mlp`, or one of the family's own (`Family.blocks`). */
  readonly kind: string;
  /** Normalizes what the block reads; default: it reads the residual stream as it is. */
  readonly norm?: NormSpec;
  /** Normalizes what the block adds to the residual stream; default: nothing does. */
  readonly outputNorm?: NormSpec;
  /** Within the block; default: none. */
  readonly innerNorms?: readonly InnerNormSpec[];
  /** Multiplies what the block adds to the residual stream; default: 1. */
  readonly outputScale?: number;
  /** Its linear layers, in the order in which PEFT names them. */
  readonly linears: readonly LinearSpec[];
  /** Default: none. */
  readonly vectors?: readonly VectorSpec[];
  /** The rotary embedding that it uses; default: none. */
  readonly rope?: RopeSpec | undefined;
  /** Elements of a token's keys, and of its values, that it keeps in the cache; at most one block of a layer keeps any. */
  readonly keyValueWidth?: number;
}

/**
 * Causal attention with grouped heads. Its linear layers have the roles `query`, `key`, `value` and `output`; one with the
 * role `queryKeyValue` stands for the first three, whose rows it holds in this order. Inner norms with the roles `query` and
 * `key` normalize these before they are turned.
 */
export interface AttentionSpec extends BlockSpec {
  readonly kind: 'attention';
  /** Query heads, a multiple of `keyValueHeads`. */
  readonly heads: number;
  /** Key and value heads, which groups of query heads share. */
  readonly keyValueHeads: number;
  /** Elements of one head; heads * headSize need not be the hidden size. */
  readonly headSize: number;
  /** Multiplies the scores. */
  readonly scale: number;
  /** Bounds them: a scaled score s becomes softCap * tanh(s / softCap); default: none. */
  readonly softCap?: number | undefined;
  /** How many last tokens a token sees, itself included; 0 means all before it. */
  readonly window: number;
}

/** Activations of an MLP, by their names in transformers. */
export type Activation = 'silu' | 'gelu_pytorch_tanh';

/**
 * down(activation(gate(x)) * up(x)). Its linear layers have the roles `gate`, `up` and `down`; one with the role `gateUp` stands
 * for the first two, whose rows it holds in this order.
 */
export interface MlpSpec extends BlockSpec {
  readonly kind: 'mlp';
  /** Width between its linear layers. */
  readonly intermediateSize: number;
  /** Default: `silu`. */
  readonly activation?: Activation;
}

/** A decoder layer: its blocks, in the order in which they run. */
export interface LayerSpec {
  /** Each reads the residual stream and adds to it. */
  readonly blocks: readonly BlockSpec[];
}

/** How llama.cpp knows models of this kind; a family without it cannot be exported to GGUF. */
export interface GgufNames {
  /** `general.architecture`, such as `llama`. */
  readonly architecture: string;
  /** Tensor names without `blk.N.` and `.weight`, by module path: below the layer, or whole outside of layers. */
  readonly tensors: Readonly<Record<string, string>>;
  /**
   * llama.cpp turns neighbours of a head, (0, 1), (2, 3), where transformers turns i and i + headSize / 2: rows of queries
   * and keys change their order in the file.
   */
  readonly turnsNeighbours: boolean;
  /** Where its graph computes otherwise than that of its architecture `llama`. */
  readonly graph?: GgufGraph;
}

/** What llama.cpp's graph of an architecture computes, beside or in place of what the keys of a file tell it. */
export interface GgufGraph {
  /** What has keys: windows, caps of scores and logits (both are wanted), and multipliers (of embedding, outputs and logits). */
  readonly keys?: readonly ('windows' | 'caps' | 'multipliers')[];
  /**
   * Kinds of layers go by their places: the last one of every `period` has no window, or no rotary embedding, and the others have.
   */
  readonly lastOfPeriod?: { readonly lacks: 'window' | 'rope'; readonly period: number };
  /** The base of the angles of layers with a window, which turn plainly; default: they turn as the others do. */
  readonly windowTheta?: number;
  /** Scores are multiplied by 1 / sqrt(head size), and no key changes that. */
  readonly fixesScale?: boolean;
  /** The embedding is multiplied by the root of the hidden size. */
  readonly scalesEmbedding?: boolean;
  /** That of the MLP; default: `silu`. */
  readonly activation?: Activation;
}

/** All that Glulam computes with of a base: it follows from `config.json` and, for the head, from the stored tensors. */
export interface ModelSpec {
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Rows of the embedding and the head; the tokenizer may have fewer tokens. */
  readonly vocabularySize: number;
  /** Tokens of the longest sequence that the model reads, `max_position_embeddings`. */
  readonly maxPositions: number;
  /** Token ids to the residual stream. */
  readonly embedding: {
    /** Module path; its tensor is `<name>.weight`, [vocabulary, hidden]. */
    readonly name: string;
    /** The row that gets no gradient from the tokens of a text; a tied head still gives it one. */
    readonly paddingRow?: number | undefined;
    /**
     * Multiplies what is read; default: 1. `inStoredType`: rounded to the type that the embedding is stored in, as a module
     * that keeps it among its weights has it.
     */
    readonly scale?: { readonly factor: number; readonly inStoredType?: boolean };
  };
  /** Module path of the layers, such as `model.layers`; see `layerPath`. */
  readonly layersPath: string;
  /** The physical layers. */
  readonly layers: readonly LayerSpec[];
  /** After the last layer. */
  readonly finalNorm: NormSpec;
  /** Hidden states to logits. */
  readonly head: {
    /** Module path; its tensor is `<name>.weight`, [vocabulary, hidden]. */
    readonly name: string;
    /** The head is the embedding, and has no tensor of its own. */
    readonly tied: boolean;
    /** Multiplies the hidden states that it reads; default: 1. */
    readonly inputScale?: number;
    /** Bounds the logits: a logit l becomes softCap * tanh(l / softCap); default: none. */
    readonly softCap?: number | undefined;
  };
  /** Default: no export to GGUF. */
  readonly gguf?: GgufNames;
}

/** Path of a physical or virtual layer: `model.layers.3`. */
export const layerPath = ({ layersPath }: Pick<ModelSpec, 'layersPath'>, index: number): string =>
  `${layersPath}.${index}`;

/** The tensor of a module that has just a weight. */
export const weightName = (module: string): string => `${module}.weight`;

/** All norms of a layer, block by block, with the elements that each normalizes together. */
export const normsOf = (
  { blocks }: LayerSpec,
  hiddenSize: number,
): { readonly norm: NormSpec; readonly size: number }[] =>
  blocks.flatMap(({ norm, innerNorms = [], outputNorm }) => [
    ...(norm ? [{ norm, size: hiddenSize }] : []),
    ...innerNorms.map((each) => ({ norm: each, size: each.size })),
    ...(outputNorm ? [{ norm: outputNorm, size: hiddenSize }] : []),
  ]);

/** All linear layers of a layer, block by block. */
export const linearsOf = ({ blocks }: LayerSpec): LinearSpec[] => blocks.flatMap(({ linears }) => linears);

/** Names of all linear layers that any layer of the model has, each once, in order. */
export const linearNamesOf = ({ layers }: Pick<ModelSpec, 'layers'>): string[] => [
  ...new Set(layers.flatMap((layer) => linearsOf(layer).map(({ name }) => name))),
];

/** The layer's attention, if it has the kind that core computes. */
export const attentionOf = ({ blocks }: LayerSpec): AttentionSpec | undefined =>
  blocks.find((block): block is AttentionSpec => block.kind === 'attention');

/** The layer's MLP, if it has the kind that core computes. */
export const mlpOf = ({ blocks }: LayerSpec): MlpSpec | undefined =>
  blocks.find((block): block is MlpSpec => block.kind === 'mlp');

/** Width of a layer's keys, and of its values, in the cache; 0: it keeps none. */
export const keyValueWidthOf = ({ blocks }: LayerSpec): number =>
  blocks.reduce((width, { keyValueWidth = 0 }) => Math.max(width, keyValueWidth), 0);

/** How many last tokens a token sees in a layer; 0: all, or the layer has no attention of core's kind. */
export const windowOf = (layer: LayerSpec): number => attentionOf(layer)?.window ?? 0;

/** A name for each physical layer, as transformers' `layer_types` has them. */
export const layerTypes = ({ layers }: Pick<ModelSpec, 'layers'>): string[] =>
  layers.map((layer) => (windowOf(layer) > 0 ? 'sliding_attention' : 'full_attention'));
