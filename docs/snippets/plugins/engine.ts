import { sizeOf } from '@glulam/files';
import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import {
  createEngine,
  createReferenceDevice,
  engines,
  type Engine,
  type EngineContribution,
  type Precision,
} from '@glulam/tensors';
import { z } from 'zod';

/** How many multiplications an engine was asked for. */
export interface CountingEngine extends Engine {
  readonly multiplications: () => number;
}

/** The reference engine's device, whose products are counted. A device of its own has all of these functions itself. */
export function createCountingEngine(precision: Precision): CountingEngine {
  const inner = createReferenceDevice();
  let multiplications = 0;
  const device: typeof inner = {
    ...inner,
    description: 'the reference engine, with its multiplications counted',
    kernels: {
      ...inner.kernels,
      matmul(given, result) {
        multiplications += sizeOf(result.shape) * given.k;
        return inner.kernels.matmul(given, result);
      },
    },
  };
  return { ...createEngine(device, { kind: 'counting', precision }), multiplications: () => multiplications };
}

const schema = z.strictObject({});
export const counting: EngineContribution<z.infer<typeof schema>> = {
  kind: 'counting',
  schema,
  open: async (_options, { precision }) => createCountingEngine(precision),
};

export default (): Plugin<Offer<'engine', 'counting', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-engine-counting',
    contract: 2,
    register: (registry) => registry.contribute(engines, { create: () => counting }),
  });
