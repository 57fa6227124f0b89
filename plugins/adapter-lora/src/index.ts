import {
  adapters,
  lowRankBaseFaults,
  lowRankFromPeft,
  lowRankSchema,
  lowRankWarnings,
  matchRank,
  type AdapterContribution,
  type LowRankOptions,
} from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import type { z } from 'zod';
import { createLora } from './lora.js';

export { createLora } from './lora.js';

export const loraContribution: AdapterContribution<LowRankOptions> = {
  kind: 'lora',
  schema: lowRankSchema,
  resolve: (options, sites) => matchRank(options, sites, (site) => (options.lora_bias ? site.outFeatures : 0)),
  faults: lowRankBaseFaults,
  warnings: lowRankWarnings,
  create: createLora,
  fromPeft: (config) => lowRankFromPeft(config, lowRankSchema, false),
};

/** The plugin: the adapter kind `lora`. */
export const adapterLora = (): Plugin<Offer<'adapter', 'lora', z.input<typeof lowRankSchema>>> =>
  definePlugin({
    name: '@glulam/adapter-lora',
    contract: 2,
    register: (registry) => registry.contribute(adapters, { create: () => loraContribution }),
  });
