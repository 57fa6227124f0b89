import {
  adapters,
  checkAdapterOptions,
  checkVirtualLayers,
  guardAdapter,
  linearNamesOf,
  linearSites,
  silentLayers,
  strategies,
  unexpandedLayers,
  type Adapter,
  type AdapterChoice,
  type ModelSpec,
  type VirtualLayer,
} from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import type { Precision } from '@glulam/tensors';
import { choose } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';

/** What a config makes of a base: the virtual layers and the adapter on them. Nothing is opened for it. */
export interface ModelDescription {
  /** In the order in which they are computed. */
  readonly layers: readonly VirtualLayer[];
  /** What is trained. */
  readonly adapter: Adapter;
  /** The adapter as a choice with its options, those that follow from the model filled in. */
  readonly choice: AdapterChoice;
  /** For users: what the options of the expansion and the adapter say that has no effect here. */
  readonly warnings: readonly string[];
}

/** What a config makes of a base. Throws TrainerError CONFIG_INVALID and ModelError EXPANSION_INVALID. */
export function describeModel(config: RunConfig, composition: Composition, spec: ModelSpec): ModelDescription {
  const physicalLayers = spec.layers.length;
  const expansion = config.expansion && choose(composition, strategies, 'expansion', config.expansion);
  const layers = checkVirtualLayers(
    expansion?.contribution.expand(physicalLayers, expansion.options, linearNamesOf(spec)) ??
      unexpandedLayers(physicalLayers),
    spec,
  );
  const { contribution, options } = choose(composition, adapters, 'adapter', config.adapter);
  checkAdapterOptions(contribution, options, spec);
  const sites = linearSites(spec, layers);
  const resolved = contribution.resolve?.(options, sites) ?? options;
  const choice = { kind: contribution.kind, options: resolved };
  const warnings = [
    ...(expansion?.contribution.warnings?.(physicalLayers, expansion.options) ?? []),
    ...(contribution.warnings?.(resolved, sites, spec) ?? []),
    ...silentLayers(layers),
  ];
  return { layers, adapter: guardAdapter(contribution, contribution.create(resolved)), choice, warnings };
}

/** `auto` follows the dtype in which the checkpoint stores its embedding. */
export function resolvePrecision(wanted: RunConfig['precision'], stored: string): Precision {
  if (wanted !== 'auto') return wanted;
  return stored === 'bfloat16' ? 'bfloat16' : 'float32';
}
