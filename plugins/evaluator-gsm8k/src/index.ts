import { definePlugin, type Plugin } from '@glulam/plugin';
import { evaluators, type EvaluatorContribution } from '@glulam/trainer';
import { gsm8kEvaluator } from './gsm8k.js';

export { gsm8kEvaluator } from './gsm8k.js';

/** The plugin: the evaluator `gsm8k`. */
export const evaluatorGsm8k = (): Plugin =>
  definePlugin({
    name: '@glulam/evaluator-gsm8k',
    register: (registry) => registry.contribute(evaluators, { create: () => gsm8kEvaluator as EvaluatorContribution }),
  });
