import type { DType } from '@glulam/files';
import type { Operations, Segment, Tensor } from '@glulam/tensors';
import type { BlockSpec } from '../families/model-spec.js';

/** What one block of one virtual layer computes with, in one pass. */
export interface BlockContext {
  /** They record where the pass does. */
  readonly ops: Operations;
  /** The linear layer with this role, adapter and bias included, of x [tokens, in]: [tokens, out] in the type asked for. */
  linear(x: Tensor, role: string, type: DType): Tensor;
  /** Whether the block has a linear layer with this role. */
  hasLinear(role: string): boolean;
  /** Whether the block has an inner norm with this role. */
  hasNorm(role: string): boolean;
  /** x through the inner norm with this role, whose size divides its width; of the same shape and type. */
  normalize(x: Tensor, role: string): Tensor;
  /** The vector with this role. */
  vector(role: string): Tensor;
  /** Turn the heads of x [tokens, heads * headSize] by their positions, with the block's rope; without one x itself. */
  rotate(x: Tensor, headSize: number): Tensor;
  /**
   * Keys and values that queries of the pass may see, those of earlier tokens included, and which of them each sees. Of
   * blocks with a `keyValueWidth`; once a pass.
   */
  keysAndValues(
    k: Tensor,
    v: Tensor,
  ): { readonly k: Tensor; readonly v: Tensor; readonly segments: readonly Segment[] };
}

/**
 * Runs one kind of sub-layer: from its input after the norm, [tokens, hidden] in the type `ops.activation`, to what its
 * output norm reads, or is added to the residual stream: [tokens, hidden] in float32. Synchronous and without state, so that it can be computed
 * again in backward.
 */
export type Block<Spec extends BlockSpec = BlockSpec> = (x: Tensor, spec: Spec, context: BlockContext) => Tensor;
