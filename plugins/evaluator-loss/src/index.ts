import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { evaluators, meanLoss, meanLossOf, TrainerError, type EvaluatorContribution } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({
  limit: z.int().positive().optional().describe('Only so many of the held-out examples.'),
});

/** Mean loss a trained token over the held-out set, and its exponential, each with its standard error. */
export const lossEvaluator: EvaluatorContribution<z.infer<typeof schema>> = {
  kind: 'loss',
  schema,
  needsHeldOut: true,
  scoreNames: () => ['loss', 'loss_stderr', 'perplexity', 'perplexity_stderr', 'tokens'],
  open: ({ limit }) => ({
    async evaluate({ decoder, heldOut, signal, onProgress }) {
      if (heldOut.length === 0) {
        throw new TrainerError(
          'CONFIG_INVALID',
          'the evaluator "loss" needs held-out data: name a file as data.heldOut, or set evaluate.evaluators to []',
        );
      }
      const { loss, error, tokens } = await meanLoss(decoder, heldOut.slice(0, limit), { signal, onProgress });
      const perplexity = Math.exp(loss);
      return { loss, loss_stderr: error, perplexity, perplexity_stderr: perplexity * error, tokens };
    },
  }),
  probeSet({ limit }, { heldOut, limit: wanted }) {
    const sequences = heldOut.slice(0, limit ?? wanted);
    return {
      measure: { name: 'loss', unit: 'nats a token', better: 'lower' },
      samples: sequences.length,
      sequences,
      score(logProbabilities) {
        const { loss, error } = meanLossOf(sequences, logProbabilities);
        return { score: loss, error };
      },
    };
  },
};

/** The plugin: the evaluator `loss`. */
export const evaluatorLoss = (): Plugin<Offer<'evaluator', 'loss', z.input<typeof schema>>> =>
  definePlugin({
    name: '@glulam/evaluator-loss',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => lossEvaluator }),
  });
