import { point } from '@glulam/plugin';
import type { z } from 'zod';
import type { VirtualLayer } from './virtual-layer.js';

/** An expansion strategy: from the number of physical layers and options to the list of virtual layers. */
export interface ExpansionStrategy<Options = unknown> {
  /** The name by which a config chooses this strategy. */
  readonly kind: string;
  /** Checks the strategy's options in a config and fills in their defaults. */
  readonly schema: z.ZodType<Options>;
  /** Options that name files: taken from the config's folder, as all paths of a config are. */
  readonly paths?: readonly string[];
  /**
   * Pure; throws a ModelError EXPANSION_INVALID that names every fault of the options for this base.
   *
   * @param linears names of the linear layers that the base's layers have, such as `self_attn.q_proj`
   */
  expand(physicalLayers: number, options: Options, linears: readonly string[]): readonly VirtualLayer[];
  /** For users: what the options or their files say that has no effect here. */
  warnings?(physicalLayers: number, options: Options): readonly string[];
}

/** The point at which plugins contribute expansion strategies. */
export const strategies = point<ExpansionStrategy>('model.strategies', { schema: 'schema', expand: 'function' });
