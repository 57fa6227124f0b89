import type { Engine, Operations, Tape, Tensor } from '@glulam/tensors';
import type { Adapter, LinearSite } from '../adapters/adapter.js';
import type { AdapterValues } from '../adapters/adapter-values.js';
import type { FixedPart } from '../adapters/fixed-parts.js';
import type { TrainedCopy } from '../adapters/trained-tensors.js';
import type { Route } from '../expansion/route.js';
import type { VirtualLayer } from '../expansion/virtual-layer.js';
import type { ModelSpec } from '../families/model-spec.js';
import type { BaseWeights } from '../weights/base-weights.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import type { TokenBatch } from './batch.js';
import type { CachePass } from './key-value-cache.js';
import type { PreparedForms } from './prepared-forms.js';

/** How a forward pass runs. Without options it is for inference, without a cache. */
export interface PassOptions {
  /** Record the pass for a backward. */
  readonly tape?: Tape;
  /** Keep only each virtual layer's input and compute the rest again in backward. */
  readonly recompute?: boolean;
  /**
   * The steps of this pass; its mixes are those that the decoder was opened with. Default: the decoder's route. A cache is
   * of one route, see `cacheOf`.
   */
  readonly route?: Route | undefined;
  /** Dropout is on when training; its draws follow from (seed, step, visit, linear layer). */
  readonly training?: { readonly seed: number; readonly step: number };
  /**
   * Run the reference: the virtual layers without what is trained. Adapters are left out, and gates are 0, as they begin. Not
   * for models that train copies of the base's tensors, nor for routes with mixes.
   */
  readonly reference?: boolean;
  /** Keys and values of earlier tokens; the batch's are appended. See `KeyValueCache.pass`. */
  readonly cache?: CachePass;
  /** Forms of adapted layers from earlier passes; those that are not there are kept in it. Not for training. */
  readonly forms?: PreparedForms | undefined;
  /** Aborting rejects with the signal's reason once the layer that is computed is done. */
  readonly signal?: AbortSignal | undefined;
  /** Looks at the output of each visit to a virtual layer, [tokens, hidden], as soon as it is computed; to find faults. */
  readonly onLayer?: (virtual: number, output: Tensor) => Promise<void>;
}

/** The steps `[start, end)` of a route, and what goes into the first of them. */
export interface RoutePart {
  /** The first of them. */
  readonly start: number;
  /** The one after the last of them. */
  readonly end: number;
  /** Hidden states, [tokens, hidden], float32; stays the caller's. None for a part that begins with the embedding. */
  readonly hidden?: Tensor | undefined;
  /** States that earlier parts kept, by name; they stay the caller's. A part that ends with a `keep` step returns what it keeps. */
  readonly kept?: ReadonlyMap<string, Tensor> | undefined;
}

/** One batch's pass in parts, for whoever runs layers in an order of their own. What it returns is the caller's to release. */
export interface LayerPass {
  /** Hidden states before the first layer, [tokens, hidden]. */
  embed(): Tensor;
  /** What a virtual layer makes of any hidden states, which stay the caller's. */
  layer(hidden: Tensor, virtual: number): Promise<Tensor>;
  /** Hidden states after the last norm, as `forward` returns them. */
  finish(hidden: Tensor): Tensor;
  /** Release what all layers of the pass share. */
  close(): void;
}

/**
 * An expanded model on an engine: frozen weights, one set a physical layer, and what is trained, adapters and copies of
 * the base's tensors.
 */
export interface Decoder {
  /** The engine that holds the tensors. */
  readonly engine: Engine;
  /** Differentiable operations on it; a pass with a tape records through these. */
  readonly ops: Operations;
  /** What the base is made of. */
  readonly spec: ModelSpec;
  /** The virtual layers. */
  readonly layers: readonly VirtualLayer[];
  /** The steps of a pass that is given no others. */
  readonly route: Route;
  /** The base whose weights it computes with. */
  readonly checkpoint: Checkpoint;
  /** What changes the frozen linear layers; undefined: nothing. */
  readonly adapter: Adapter | undefined;
  /** Every frozen linear layer of every virtual layer, in order. */
  readonly sites: readonly LinearSite[];
  /** Trained tensors by PEFT's names without its prefix, such as `model.layers.7.self_attn.q_proj.lora_A.weight`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The parameters that began as tensors of the base. */
  readonly copies: readonly TrainedCopy[];
  /** By the same names, what stands behind some of them and is not trained. */
  readonly fixed: ReadonlyMap<string, FixedPart>;
  /** By the same names, where an adapter sets one. */
  readonly learningRateFactors: ReadonlyMap<string, number>;
  /** Hidden states after the last norm, [tokens, hidden], held by the caller. */
  forward(batch: TokenBatch, options?: PassOptions): Promise<Tensor>;
  /**
   * The same pass through some steps of the route alone, for models whose layers are in several places. The output of one
   * part is the input of the next; with a tape, `Tape.backward` takes the gradient of the output from outside, and gives that of
   * an input which the caller has told the tape to watch. Parts in a row compute what `forward` does, bit for bit.
   *
   * @returns what the last of these steps gives; after the route's last step, hidden states after the last norm
   */
  forwardPart(batch: TokenBatch, part: RoutePart, options?: PassOptions): Promise<Tensor>;
  /** The same computation in parts, without tape, dropout and cache. */
  layerPass(batch: TokenBatch): LayerPass;
  /** Loss of each row's label given hidden states: [tokens]; labels are of the token itself, see `nextTokenLabels`. */
  losses(hidden: Tensor, labels: Int32Array, tape?: Tape): Tensor;
  /** Logits of some rows: [rows, vocabulary], float32. */
  logits(hidden: Tensor, rows: readonly number[]): Tensor;
  /** Release what is trained, and norms; the engine is the caller's. */
  close(): void;
}

/** What a decoder is made from. */
export interface DecoderOptions {
  /** The engine; the caller closes it. */
  readonly engine: Engine;
  /** The base. */
  readonly checkpoint: Checkpoint;
  /** Default: each physical layer once. */
  readonly layers?: readonly VirtualLayer[] | undefined;
  /** Default: each virtual layer once, in order. Its mixes are those that passes may use. */
  readonly route?: Route | undefined;
  /** Default: none. */
  readonly adapter?: Adapter | undefined;
  /** Weights of the base that several decoders compute with; default: opened for this one. */
  readonly weights?: BaseWeights | undefined;
  /** Adapter tensors that there are already, by name; the decoder retains them. */
  readonly adapterTensors?: ReadonlyMap<string, Tensor> | undefined;
  /** Values of adapter tensors by name instead of fresh ones; `zeros` draws none, for plans. */
  readonly adapterValues?: AdapterValues | 'zeros' | undefined;
  /** Of fresh adapters that must look into the base for them: what `readFirstValues` returned. */
  readonly firstValues?: AdapterValues | undefined;
  /** Of the adapters' first values. */
  readonly seed?: number | undefined;
}
