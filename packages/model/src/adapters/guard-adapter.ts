import { guardOpened } from '@glulam/plugin';
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
