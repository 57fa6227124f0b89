import type { Engine } from '../contract/engine.js';
import type { Fused, Named } from '../contract/fused.js';
import type { Tensor } from '../contract/tensor.js';
import type { Operations } from './operations.js';

/**
 * An operation with a name, which anybody can define: a family its activation, an adapter its gate. `Operations.run` runs
 * it. What it computes is its composition; the gradient follows from that, or from `Operations.node` inside of it. An engine
 * that has something of this name in `Engine.fused` uses that instead.
 */
export interface NamedOperation<Inputs extends Named = Named, Options = unknown> {
  /** Unique among all operations of a model: begin it with your package's name, such as `family-gemma.geluTanh`. */
  readonly name: string;
  /** The output, in differentiable operations. */
  compose(ops: Operations, inputs: Inputs, options: Options): Tensor;
  /**
   * Forward and backward pairs for engines that know nothing of this operation, by `Engine.kind`: they are made once for an
   * engine, and compute what the composition does.
   */
  readonly overrides?: Readonly<Record<string, (engine: Engine) => Fused<Inputs, Options>>>;
}
