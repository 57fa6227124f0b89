import type { Composition } from '@glulam/plugin';
import { choose, configError } from './choices.js';
import type { RunConfig } from './config.js';
import { evaluators, type Evaluator } from './evaluator.js';

/** The evaluators that a config chooses, opened; by default the held-out loss, where there is held-out data. */
export function openEvaluators(
  { evaluate, data }: RunConfig,
  composition: Composition,
): { readonly kind: string; readonly evaluator: Evaluator }[] {
  const choices = evaluate.evaluators ?? (data.heldOut === undefined ? [] : [{ kind: 'loss' }]);
  return choices.map((choice) => {
    const { contribution, options } = choose(composition, evaluators, 'evaluate.evaluators', choice);
    if (contribution.needsHeldOut === true && data.heldOut === undefined) {
      throw configError([`evaluate.evaluators: "${choice.kind}" needs held-out data; name a file as data.heldOut`]);
    }
    return { kind: choice.kind, evaluator: contribution.open(options) };
  });
}
