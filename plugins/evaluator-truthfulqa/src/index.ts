import { definePlugin, type Plugin } from '@glulam/plugin';
import { evaluators, type EvaluatorContribution } from '@glulam/trainer';
import { truthfulqaEvaluator } from './truthfulqa.js';

export { promptOf, truthfulqaEvaluator } from './truthfulqa.js';

/** The plugin: the evaluator `truthfulqa`. */
export const evaluatorTruthfulqa = (): Plugin =>
  definePlugin({
    name: '@glulam/evaluator-truthfulqa',
    register: (registry) =>
      registry.contribute(evaluators, { create: () => truthfulqaEvaluator as EvaluatorContribution }),
  });
