import type { Composition } from '@glulam/plugin';
import { choose, configError } from './choices.js';
import type { RunConfig } from './config.js';
import { evaluators, type Evaluator } from './evaluator.js';

/** An evaluator that a config chooses. */
export interface OpenEvaluator {
  readonly kind: string;
  /** `end`: the run evaluates by it after its last step only. */
  readonly when: 'always' | 'end';
  readonly evaluator: Evaluator;
}

/** The evaluators that a config chooses, opened; by default the held-out loss, where there is held-out data. */
export function openEvaluators({ evaluate, data }: RunConfig, composition: Composition): OpenEvaluator[] {
  const choices = evaluate.evaluators ?? (data.heldOut === undefined ? [] : [{ kind: 'loss' }]);
  return choices.map(({ when = 'always', ...choice }) => {
    const { contribution, options } = choose(composition, evaluators, 'evaluate.evaluators', choice);
    if (contribution.needsHeldOut === true && data.heldOut === undefined) {
      throw configError([`evaluate.evaluators: "${choice.kind}" needs held-out data; name a file as data.heldOut`]);
    }
    return { kind: choice.kind, when, evaluator: contribution.open(options) };
  });
}
