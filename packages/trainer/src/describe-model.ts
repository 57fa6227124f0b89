import { adapters, strategies, type Adapter, type DecoderShape, type VirtualLayer } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import type { Precision } from '@glulam/tensors';
import { choose } from './choices.js';
import type { RunConfig } from './config.js';

/** What a config makes of a base: the virtual layers and the adapter on them. Nothing is opened for it. */
export interface ModelDescription {
  readonly layers: readonly VirtualLayer[];
  readonly adapter: Adapter;
}

export function describeModel(config: RunConfig, composition: Composition, shape: DecoderShape): ModelDescription {
  const { physicalLayers } = shape;
  const expansion = config.expansion && choose(composition, strategies, 'expansion', config.expansion);
  const layers =
    expansion?.contribution.expand(physicalLayers, expansion.options) ??
    Array.from({ length: physicalLayers }, (_, physical) => ({ physical }));
  const { contribution, options } = choose(composition, adapters, 'adapter', config.adapter);
  return { layers, adapter: contribution.create(options) };
}

/** `auto` follows the dtype in which the checkpoint stores its embedding. */
export function resolvePrecision(wanted: RunConfig['precision'], stored: string): Precision {
  if (wanted !== 'auto') return wanted;
  return stored === 'bfloat16' ? 'bfloat16' : 'float32';
}
