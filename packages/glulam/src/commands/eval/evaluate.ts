import { evaluateAll, openData, openEvaluators } from '@glulam/trainer';
import { callback, checkOptions, number, text, type OptionTypes } from '../../config/check-options.js';
import { openCall } from '../../call.js';
import { GlulamError } from '../../errors.js';
import {
  checkModel,
  isOpen,
  openChosen,
  openModelTypes,
  type ModelSource,
  type OpenedModel,
  type OpenModelOptions,
} from '../../models/open-model.js';
import { checkWrites } from '../../runs/trusted-runs.js';
import { withRecordedPlugins } from '../../runs/with-recorded-plugins.js';

/** The scores of one evaluator. */
export interface Evaluation {
  /** The evaluator's name in the config; its kind, unless the config says otherwise. */
  readonly evaluator: string;
  /** By their names, such as `loss` in nats a token; a standard error is `NAME_stderr`. */
  readonly scores: Readonly<Record<string, number>>;
}

/** Options of `evaluate`. */
export interface EvaluateOptions extends OpenModelOptions {
  /** Only so many questions, or held-out examples, of each evaluator; default: all. */
  readonly limit?: number | undefined;
  /** A folder for every sample's prompt, output and scores: an evaluation that was interrupted goes on from there. */
  readonly samples?: string | undefined;
  /** Called as soon as an evaluator has scored. */
  readonly onEvaluation?: ((evaluation: Evaluation) => void) | undefined;
}

const optionTypes: OptionTypes<EvaluateOptions> = {
  ...openModelTypes,
  limit: number,
  samples: text,
  onEvaluation: callback,
};

/**
 * Score a model by the evaluators of its config, one after another: what `glulam eval` does.
 *
 * @param model what names one, or one that `openModel` opened and that stays open; options that choose adapters or
 *   override the config are for the former
 * @returns an entry an evaluator, in the config's order
 * @throws GlulamError USAGE where the config has neither evaluators nor held-out data, and what opening the model, its
 *   data and the evaluators throw, each with a `code`; the signal's reason where it is aborted
 */
export async function evaluate(
  model: ModelSource | OpenedModel,
  options: EvaluateOptions = {},
): Promise<readonly Evaluation[]> {
  checkOptions('evaluate', options, optionTypes, { example: "evaluate('runs/mine', { limit: 100 })" });
  checkModel('evaluate', model, options);
  const call = openCall(options);
  const { signal, warn } = call;
  const { limit, samples, onEvaluation } = options;
  let opened: OpenedModel | undefined;
  try {
    signal.throwIfAborted();
    opened = isOpen(model) ? model : await openChosen(model, options, call, {});
    const { config, composition, decoder, tokenizer } = opened;
    const common = limit === undefined ? {} : { limit };
    const evaluators = await withRecordedPlugins(opened, () => openEvaluators(config, composition, common));
    if (evaluators.length === 0)
      throw new GlulamError(
        'USAGE',
        'there is nothing to evaluate: name a file as data.heldOut, or choose evaluators in evaluate.evaluators',
      );
    checkWrites(opened, ['data.cache']);
    const data = await openData(config, composition, tokenizer, {
      signal,
      only: 'heldOut',
      onProgress: call.onReading,
    });
    const { heldOut } = data;
    data.close();
    const evaluations: Evaluation[] = [];
    const context = { decoder, tokenizer, heldOut, signal, warn };
    for await (const { name, scores } of evaluateAll(evaluators, context, { samples, onProgress: call.onScoring })) {
      const evaluation = { evaluator: name, scores };
      evaluations.push(evaluation);
      onEvaluation?.(evaluation);
    }
    return evaluations;
  } finally {
    if (opened !== model) await opened?.close();
    await call.end();
  }
}
