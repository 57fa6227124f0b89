import { adapters, type AdapterContribution } from '@glulam/model';
import { definePlugin, type Plugin } from '@glulam/plugin';
import { createLora } from './lora.js';
import { loraSchema, type LoraOptions } from './options.js';
import { loraFromPeft } from './peft.js';
import { matchRank } from './ranks.js';

export type { LoraOptions } from './options.js';
export { createLora } from './lora.js';

export const loraContribution: AdapterContribution<LoraOptions> = {
  kind: 'lora',
  schema: loraSchema,
  resolve: matchRank,
  create: createLora,
  fromPeft: loraFromPeft,
};

/** The plugin: the adapter kind `lora`. */
export const adapterLora = (): Plugin =>
  definePlugin({
    name: '@glulam/adapter-lora',
    register: (registry) => registry.contribute(adapters, { create: () => loraContribution as AdapterContribution }),
  });
