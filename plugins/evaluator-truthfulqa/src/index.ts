import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { evaluators } from '@glulam/trainer';
import { truthfulqaEvaluator, type TruthfulqaInput } from './truthfulqa.js';

export { promptOf, truthfulqaEvaluator } from './truthfulqa.js';

/** The plugin: the evaluator `truthfulqa`. */
export const evaluatorTruthfulqa = (): Plugin<Offer<'evaluator', 'truthfulqa', TruthfulqaInput>> =>
  definePlugin({
    name: '@glulam/evaluator-truthfulqa',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => truthfulqaEvaluator }),
  });
