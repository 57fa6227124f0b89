import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { engines, type EngineContribution } from '@glulam/tensors';
import { z } from 'zod';
import { firstInstalled } from './installed.js';
import { backendNames, openTfjsEngine, probeBackends } from './open-engine.js';
import { planTfjsEngine } from './plan/plan-engine.js';

const schema = z.strictObject({
  backend: z
    .enum([...backendNames, 'auto'])
    .default('auto')
    .describe('`auto` takes the first of these that loads.'),
});
export type EngineTfjsOptions = z.input<typeof schema>;

/** The engine `tfjs`: TensorFlow.js on whichever of its backends is installed. None is looked for before it is opened. */
export function engineTfjs(): Plugin<Offer<'engine', 'tfjs', EngineTfjsOptions>> {
  return definePlugin({
    name: '@glulam/engine-tfjs',
    contract: 2,
    register: (registry) => registry.contribute(engines, { create: () => contribution }),
  });
}

const contribution: EngineContribution<z.output<typeof schema>> = {
  kind: 'tfjs',
  schema,
  open: ({ backend }, { precision }) => openTfjsEngine({ backend, precision }),
  plan: ({ backend }, { precision }) => planTfjsEngine(backend === 'auto' ? firstInstalled() : backend, precision),
  // Neither of these libraries says how much memory a GPU has free.
  deviceMemory: async ({ backend }) => {
    const name = backend === 'auto' ? firstInstalled() : backend;
    return name === 'webgpu' || name === 'node-gpu'
      ? { name: `the GPU of tfjs ${name}`, availableBytes: undefined }
      : undefined;
  },
  probe: probeBackends,
};
