import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { evaluators } from '@glulam/trainer';
import { gsm8kEvaluator, type Gsm8kInput } from './gsm8k.js';

export { gsm8kEvaluator } from './gsm8k.js';

/** The plugin: the evaluator `gsm8k`. */
export const evaluatorGsm8k = (): Plugin<Offer<'evaluator', 'gsm8k', Gsm8kInput>> =>
  definePlugin({
    name: '@glulam/evaluator-gsm8k',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => gsm8kEvaluator }),
  });
