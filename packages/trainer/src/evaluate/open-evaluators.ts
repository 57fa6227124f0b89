import { guardOpened, type Composition } from '@glulam/plugin';
import { choose, configError } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { evaluators, type Evaluator } from './evaluator.js';

/** An evaluator that a config chooses. */
export interface OpenEvaluator {
  /** Its scores go by this; unlike kinds, no two of a config have the same. */
  readonly name: string;
  /** The kind that the config names. */
  readonly kind: string;
  /** With defaults filled in. */
  readonly options: unknown;
  /** `end`: the run evaluates by it after its last step only. */
  readonly when: 'always' | 'end';
  /** What scores. */
  readonly evaluator: Evaluator;
}

/**
 * The evaluators that a config chooses, opened; by default the held-out loss, where there is held-out data.
 *
 * @param common options that all are to have besides their own
 */
export function openEvaluators(
  { evaluate, data }: RunConfig,
  composition: Composition,
  common: Readonly<Record<string, unknown>> = {},
): OpenEvaluator[] {
  const choices = evaluate.evaluators ?? (data.heldOut === undefined ? [] : [{ kind: 'loss' }]);
  const opened = choices.map((given): OpenEvaluator => {
    const { name = given.kind, when = 'always', ...own } = given;
    if (!/^[\w.-]+$/.test(name) || name.startsWith('.'))
      throw configError([`evaluate.evaluators.name is ${JSON.stringify(name)}; expected letters, digits, _, - and .`]);
    const { contribution, options } = choose(composition, evaluators, 'evaluate.evaluators', { ...own, ...common });
    if (contribution.needsHeldOut === true && data.heldOut === undefined)
      throw configError([`evaluate.evaluators: "${given.kind}" needs held-out data; name a file as data.heldOut`]);
    return { name, kind: given.kind, options, when, evaluator: guardOpened(contribution, contribution.open(options)) };
  });
  const names = opened.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return opened;
  throw configError([
    `evaluate.evaluators: two are called "${twice}", and scores go by names; give one another: { kind, name, ... }`,
  ]);
}
