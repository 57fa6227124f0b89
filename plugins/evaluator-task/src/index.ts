import { definePlugin, type Plugin } from '@glulam/plugin';
import { evaluators, type EvaluatorContribution } from '@glulam/trainer';
import { taskEvaluator } from './task.js';

export { taskEvaluator } from './task.js';

/** The plugin: the evaluator `task`. */
export const evaluatorTask = (): Plugin =>
  definePlugin({
    name: '@glulam/evaluator-task',
    register: (registry) => registry.contribute(evaluators, { create: () => taskEvaluator as EvaluatorContribution }),
  });
