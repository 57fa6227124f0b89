import { adapters, type AdapterContribution } from '@glulam/model';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import type { z } from 'zod';
import { createIa3 } from './ia3.js';
import { ia3FromPeft } from './ia3-peft.js';
import { ia3Schema, type Ia3Options } from './ia3-options.js';

export const ia3Contribution: AdapterContribution<Ia3Options> = {
  kind: 'ia3',
  schema: ia3Schema,
  create: createIa3,
  fromPeft: ia3FromPeft,
};

/** The plugin: the adapter kind `ia3`. */
export const adapterIa3 = (): Plugin<Offer<'adapter', 'ia3', z.input<typeof ia3Schema>>> =>
  definePlugin({
    name: 'glulam-plugin-adapter-ia3',
    contract: 2,
    register: (registry) => registry.contribute(adapters, { create: () => ia3Contribution }),
  });
export default adapterIa3;
