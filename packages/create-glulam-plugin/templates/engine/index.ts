import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { engines, type EngineContribution } from '@glulam/tensors';
import { z } from 'zod';
import { createMyKindEngine } from './engine.js';

export { createMyKindEngine } from './engine.js';

const schema = z.strictObject({});

export const myKindEngine: EngineContribution<z.output<typeof schema>> = {
  kind: 'my_kind',
  schema,
  // What takes time or can fail (native code, devices) happens here, not when the plugin is loaded.
  open: async (_, { precision }) => createMyKindEngine(precision),
  // For `glulam doctor`.
  probe: async () => [{ name: 'my_kind', loads: true, details: 'plain TypeScript, one thread' }],
};

/** The plugin: the engine `my_kind`. */
export const engineMyKind = (): Plugin<Offer<'engine', 'my_kind', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-engine-my-kind',
    contract: 2,
    register: (registry) => registry.contribute(engines, { create: () => myKindEngine }),
  });

// What a config that names this package takes.
export default engineMyKind;
