import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { evaluators, meanLoss, meanLossOf, TrainerError, type EvaluatorContribution } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({});

/** The held-out loss in bits a token. */
export const bits: EvaluatorContribution<z.infer<typeof schema>> = {
  kind: 'bits',
  schema,
  needsHeldOut: true,
  open: () => ({
    async evaluate({ decoder, heldOut, signal }) {
      if (heldOut.length === 0)
        throw new TrainerError('CONFIG_INVALID', 'the evaluator "bits" needs held-out data: set data.heldOut');
      const { loss } = await meanLoss(decoder, heldOut, { signal });
      return { bits: loss / Math.LN2 };
    },
  }),
  probeSet(_, { heldOut, limit }) {
    const sequences = heldOut.slice(0, limit);
    return {
      measure: { name: 'bits', unit: 'bits a token', better: 'lower' },
      samples: sequences.length,
      sequences,
      score(logProbabilities) {
        const { loss, error } = meanLossOf(sequences, logProbabilities);
        return { score: loss / Math.LN2, error: error / Math.LN2 };
      },
    };
  },
};

export default (): Plugin<Offer<'evaluator', 'bits', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-evaluator-bits',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => bits }),
  });
