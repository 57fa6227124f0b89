import { definePlugin, type Offer, type Plugin } from '@glulam/plugin';
import { evaluators } from '@glulam/trainer';
import { taskEvaluator, type TaskInput } from './task.js';

export { taskEvaluator } from './task.js';

/** The plugin: the evaluator `task`. */
export const evaluatorTask = (): Plugin<Offer<'evaluator', 'task', TaskInput>> =>
  definePlugin({
    name: '@glulam/evaluator-task',
    contract: 2,
    register: (registry) => registry.contribute(evaluators, { create: () => taskEvaluator }),
  });
