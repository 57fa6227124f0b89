import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { evaluators, meanLoss, type EvaluatorContribution } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({});

/** How much lower the held-out loss is than at the run's first evaluation. */
function createImprovement(): EvaluatorContribution<z.infer<typeof schema>> {
  let first: number | undefined;
  return {
    kind: 'improvement',
    schema,
    needsHeldOut: true,
    open: () => ({
      async evaluate({ decoder, heldOut, signal }) {
        const { loss } = await meanLoss(decoder, heldOut, { signal });
        first ??= loss;
        return { improvement: first - loss };
      },
    }),
  };
}

export default (): Plugin<Offer<'evaluator', 'improvement', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-evaluator-improvement',
    contract: 2,
    // A run beside this one, or after it, has a first evaluation of its own.
    register: (registry) => registry.contribute(evaluators, { lifetime: 'run', create: createImprovement }),
  });
