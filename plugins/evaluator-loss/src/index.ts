import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { evaluators, meanLoss, TrainerError, type EvaluatorContribution } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({});

/** Mean loss a trained token over the held-out set, and its exponential. */
export const lossEvaluator: EvaluatorContribution<z.infer<typeof schema>> = {
  kind: 'loss',
  schema,
  needsHeldOut: true,
  open: () => ({
    async evaluate({ decoder, heldOut, signal }) {
      if (heldOut.length === 0) {
        throw new TrainerError(
          'CONFIG_INVALID',
          'the evaluator "loss" needs held-out data: name a file as data.heldOut, or set evaluate.evaluators to []',
        );
      }
      const { loss, tokens } = await meanLoss(decoder, heldOut, { signal });
      return { loss, perplexity: Math.exp(loss), tokens };
    },
  }),
};

/** The plugin: the evaluator `loss`. */
export const evaluatorLoss = (): Plugin<Offer<'evaluator', 'loss', z.input<typeof schema>>> =>
  definePlugin({
    name: '@glulam/evaluator-loss',
    contract: 1,
    register: (registry) => registry.contribute(evaluators, { create: () => lossEvaluator as EvaluatorContribution }),
  });
