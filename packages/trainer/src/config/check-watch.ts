import type { Composition } from '@glulam/plugin';
import { configError } from './choices.js';
import type { RunConfig } from './config.js';
import { suggestion } from './faults/advise-key.js';
import { evaluators } from '../evaluate/evaluator.js';

/**
 * Refuse a watched score that nothing gives, before anything is opened: it would keep no best checkpoint, and early
 * stopping would wait forever. A score's name can be checked here where its evaluator names its scores.
 *
 * @throws TrainerError CONFIG_INVALID
 */
export function checkWatch({ evaluate, data }: RunConfig, composition: Composition): void {
  const { watch, patience, every } = evaluate;
  const choices = evaluate.evaluators ?? (data.heldOut === undefined ? [] : [{ kind: 'loss' }]);
  const names = choices.map(({ kind, name = kind }) => name);
  const faults: string[] = [];
  if (patience > 0 && every === 0)
    faults.push('evaluate.patience counts evaluations between steps; set evaluate.every');
  // Without a choice of one's own the loss is watched, where it is scored.
  const isDefault = watch.evaluator === 'loss' && watch.score === 'loss';
  if (!names.includes(watch.evaluator) && (patience > 0 || !isDefault))
    faults.push(
      `evaluate.watch.evaluator is "${watch.evaluator}"; evaluators of this run: ${names.join(', ') || 'none'}${suggestion(watch.evaluator, names)}`,
    );
  const watched = choices.find(({ kind, name = kind }) => name === watch.evaluator);
  const scores = watched && scoreNamesOf(watched, composition);
  if (scores !== undefined && !scores.includes(watch.score))
    faults.push(
      `evaluate.watch.score is "${watch.score}"; the evaluator ${watch.evaluator} gives ${scores.join(', ')}${suggestion(watch.score, scores)}`,
    );
  if (faults.length > 0) throw configError(faults);
}

type EvaluatorChoice = NonNullable<RunConfig['evaluate']['evaluators']>[number];

/** undefined: not known before, or its options cannot be used, which is reported by what opens it. */
function scoreNamesOf(
  { kind, name: _, when: __, ...own }: EvaluatorChoice,
  composition: Composition,
): readonly string[] | undefined {
  const contribution = composition.find(evaluators, kind);
  if (contribution?.scoreNames === undefined) return undefined;
  const options = contribution.schema.safeParse(own);
  return options.success ? contribution.scoreNames(options.data) : undefined;
}
