import { guardOpened } from '@glulam/plugin';
import { ModelError } from '../errors.js';
import type { ModelSpec } from '../families/model-spec.js';
import type { Adapter, AdapterContribution } from './adapter.js';

/** An adapter whose methods, and those of its sites, name the plugin that it is of when they fail. */
export function guardAdapter(contribution: AdapterContribution, adapter: Adapter): Adapter {
  return {
    ...guardOpened(contribution, adapter),
    at(site) {
      const made = guardOpened(contribution, adapter).at(site);
      return made && guardOpened(contribution, made);
    },
  };
}

/**
 * Asks a kind of adapter whether its options can be on a base.
 *
 * @throws ModelError ADAPTER_INVALID that names every fault
 */
export function checkAdapterOptions(contribution: AdapterContribution, options: unknown, spec: ModelSpec): void {
  const faults = contribution.faults?.(options, spec) ?? [];
  if (faults.length > 0)
    throw new ModelError('ADAPTER_INVALID', `the adapter does not fit the base:\n  ${faults.join('\n  ')}`);
}
