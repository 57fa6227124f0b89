import {
  adapters,
  lowRankBaseFaults,
  lowRankFromPeft,
  lowRankWarnings,
  matchRank,
  type AdapterContribution,
} from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import type { z } from 'zod';
import { createDora, doraSchema, isDecomposed, type DoraOptions } from './dora.js';

export type { DoraOptions } from './dora.js';
export { createDora } from './dora.js';

export const doraContribution: AdapterContribution<DoraOptions> = {
  kind: 'dora',
  schema: doraSchema,
  resolve: (options, sites) =>
    matchRank(options, sites, (site) => (isDecomposed(options, site) ? site.outFeatures : 0)),
  faults: lowRankBaseFaults,
  warnings: lowRankWarnings,
  create: createDora,
  fromPeft: (config) => lowRankFromPeft(config, doraSchema, true),
};

/** The plugin: the adapter kind `dora`. */
export const adapterDora = (): Plugin<Offer<'adapter', 'dora', z.input<typeof doraSchema>>> =>
  definePlugin({
    name: '@glulam/adapter-dora',
    contract: 2,
    register: (registry) => registry.contribute(adapters, { create: () => doraContribution }),
  });
