import type { FrozenWeight, Tensor } from '@glulam/tensors';
import type { SiteAdapter } from '../adapters/adapter.js';
import type { FixedPart } from '../adapters/fixed-parts.js';
import type { VirtualLayer } from '../expansion/virtual-layer.js';
import type { BlockSpec, LinearSpec, NormSpec } from '../families/model-spec.js';
import type { NormWeight } from '../weights/model-weights.js';
import type { Block } from './block.js';

/** A frozen linear layer with an adapter. */
export interface AdaptedLinear {
  readonly adapter: SiteAdapter;
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** What stands behind some of the tensors and is not trained. */
  readonly behind: Readonly<Record<string, FixedPart>>;
}

/** A constant that multiplies a frozen weight. */
export interface FrozenScale {
  readonly factor: number;
  /** [in], all of them the factor. */
  readonly perInput: Tensor;
}

/** A linear layer of a virtual layer, ready to run. */
export interface Linear {
  readonly spec: LinearSpec;
  /** Among the layer's linear layers. */
  readonly index: number;
  readonly weight: FrozenWeight | Tensor;
  readonly bias: Tensor | undefined;
  readonly adapted: AdaptedLinear | undefined;
  /** Where its frozen weight is scaled. */
  readonly scale: FrozenScale | undefined;
}

/** A norm, ready to run. */
export interface Norm {
  readonly spec: NormSpec;
  readonly weight: NormWeight;
}

/** One block of a virtual layer, ready to run. */
interface LayerBlock {
  readonly spec: BlockSpec;
  readonly run: Block;
  /** Undefined where the block has none. */
  readonly norm: Norm | undefined;
  readonly outputNorm: Norm | undefined;
  /** By role. */
  readonly innerNorms: ReadonlyMap<string, Norm>;
  /** By role. */
  readonly linears: ReadonlyMap<string, Linear>;
  /** By role. */
  readonly vectors: ReadonlyMap<string, Tensor>;
}

/** One virtual layer, ready to run. */
export interface Layer {
  readonly record: VirtualLayer;
  readonly blocks: readonly LayerBlock[];
  /** [1] */
  readonly gate: Tensor | undefined;
  readonly parameters: readonly Tensor[];
}
