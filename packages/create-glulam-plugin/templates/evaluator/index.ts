import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { scope } from '@glulam/tensors';
import { evaluators, labelBatch, type EvaluatorContribution } from '@glulam/trainer';
import { z } from 'zod';

const schema = z.strictObject({
  limit: z.int().positive().optional().describe('Only so many held-out examples; default: all.'),
});

/** `accuracy`: how many of the held-out tokens that are learnt the model would have said itself. */
export const myKindEvaluator: EvaluatorContribution<z.output<typeof schema>> = {
  kind: 'my_kind',
  schema,
  needsHeldOut: true,
  open: ({ limit }) => ({
    async evaluate({ decoder, heldOut, signal }) {
      let right = 0;
      let tokens = 0;
      for (const example of heldOut.slice(0, limit)) {
        signal.throwIfAborted();
        const { labels, ...batch } = labelBatch([example]);
        const rows = [...labels.keys()].filter((row) => labels[row]! >= 0);
        if (rows.length === 0) continue;
        const hidden = await decoder.forward(batch);
        // What a scope makes and does not return is freed; what it returns is ours to release.
        const likeliest = scope(() => decoder.engine.argmax(decoder.logits(hidden, rows)));
        hidden.release();
        const said = await decoder.engine.read(likeliest);
        likeliest.release();
        right += rows.filter((row, i) => said[i] === labels[row]).length;
        tokens += rows.length;
      }
      return { accuracy: tokens === 0 ? 0 : right / tokens, tokens };
    },
  }),
};

/** The plugin: the evaluator `my_kind`. */
export const evaluatorMyKind = (): Plugin<Offer<'evaluator', 'my_kind', z.input<typeof schema>>> =>
  definePlugin({
    name: 'glulam-plugin-evaluator-my-kind',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => myKindEvaluator }),
  });

// What a config that names this package takes.
export default evaluatorMyKind;
