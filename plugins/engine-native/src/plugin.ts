import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { engines, TensorsError, type EngineContribution } from '@glulam/tensors';
import { z } from 'zod';
import { findAddon, isaNames } from './addon.js';
import { isaOfEnvironment, threadsOfEnvironment } from './environment.js';
import { checkIsa, describeChoice, onlyOn } from './kernel-choice.js';
import { machineChoice } from './machine-choice.js';
import { createNativeEngine } from './native-engine.js';
import { planNativeEngine } from './planning-device.js';

const isaSchema = z.enum(['auto', ...isaNames]);

const schema = z.strictObject({
  threads: z
    .int()
    .min(1)
    .optional()
    .describe(
      'Threads that compute; default: what the variable GLULAM_THREADS says, or as many as the machine has for this process.',
    ),
  isa: isaSchema
    .default('auto')
    .describe(
      'Instruction set of all kernels; `auto` takes what the variable GLULAM_ISA names, or else for each kind of work the ' +
        'fastest, by a measurement that is made once and kept in the cache folder.',
    ),
});
export type EngineNativeOptions = z.input<typeof schema>;

/** The engine `native`: C++ kernels for CPUs, with the base weights used in place from their mapped files. */
export function engineNative(): Plugin<Offer<'engine', 'native', EngineNativeOptions>> {
  return definePlugin({
    name: '@glulam/engine-native',
    contract: 2,
    register: (registry) => registry.contribute(engines, { create: () => contribution }),
  });
}

const contribution: EngineContribution<z.output<typeof schema>> = {
  kind: 'native',
  schema,
  async open({ threads, isa }, { precision, choice }) {
    return createNativeEngine({ threads, isa, precision, choice });
  },
  async probe() {
    try {
      const { addon, version, origin } = findAddon();
      const threads = threadsOfEnvironment();
      const named = isaOfEnvironment();
      const kernels =
        named === 'auto'
          ? machineChoice(addon, version)
          : { choice: onlyOn(checkIsa(named, addon.isas)), origin: 'the variable GLULAM_ISA' };
      const chosen = `kernels: ${describeChoice(kernels.choice)} (${kernels.origin})`;
      const details = `${addon.isas.join(', ')}; ${threads} thread${threads === 1 ? '' : 's'}; ${chosen}; ${origin}`;
      return [{ name: 'native', loads: true, details }];
    } catch (error) {
      if (!(error instanceof TensorsError)) throw error;
      return [{ name: 'native', loads: false, details: error.message }];
    }
  },
  plan: ({ threads = threadsOfEnvironment() }, { precision }) => planNativeEngine({ threads, precision }),
};
