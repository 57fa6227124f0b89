import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { createReferenceEngine, engines, type Engine, type EngineContribution, type Precision } from '@glulam/tensors';
import { z } from 'zod';

/** How often an engine is asked for each of its products. */
export interface CountingEngine extends Engine {
  readonly products: () => number;
}

/** The reference engine, whose products are counted. An engine of its own has all these operations itself. */
export function createCountingEngine(precision: Precision): CountingEngine {
  const inner = createReferenceEngine({ precision });
  let products = 0;
  return {
    ...inner,
    kind: 'counting',
    matmul(a, b, options) {
      products += 1;
      return inner.matmul(a, b, options);
    },
    products: () => products,
  };
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
    contract: 1,
    register: (registry) => registry.contribute(engines, { create: () => counting }),
  });
