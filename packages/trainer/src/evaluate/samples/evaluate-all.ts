import path from 'node:path';
import { quoteValue, whileUnchanged } from '@glulam/files';
import { checkOutputs } from '@glulam/model';
import { wrongResult } from '@glulam/plugin';
import type { EvaluationContext } from '../evaluator.js';
import type { OpenEvaluator } from '../open-evaluators.js';
import { fingerprintModel } from './fingerprint-model.js';
import { openSampleLog, type SampleFile } from './open-sample-log.js';

/** Options of `evaluateAll`. */
export interface EvaluateOptions {
  /** Where each evaluator's samples go, as `NAME.jsonl`; without it they are not kept. */
  readonly samples?: string | undefined;
  /** What happens to samples of another model, other options or data that are there. */
  readonly onOther?: 'refuse' | 'replace' | undefined;
  /** How far each evaluator is, once a second. */
  readonly onProgress?: ((evaluator: string, done: number, total: number) => void) | undefined;
}

/**
 * Score a model by evaluators, one after another. With `samples` an evaluation that was cut goes on where it stopped, as
 * long as model, options and data are the same, and gives the scores that it would have given.
 *
 * @throws TensorsError FILE_CHANGED, ModelError WEIGHT_NOT_FINITE in place of scores that mean nothing; PluginError
 *   PLUGIN_FAILED where an evaluator gives something else than scores
 */
export async function* evaluateAll(
  chosen: readonly OpenEvaluator[],
  context: Omit<EvaluationContext, 'openSamples' | 'onProgress'>,
  { samples, onOther = 'refuse', onProgress }: EvaluateOptions = {},
): AsyncGenerator<{ readonly name: string; readonly scores: Readonly<Record<string, number>> }, void> {
  const { decoder } = context;
  let model: string | undefined;
  for (const { name, kind, options, evaluator } of chosen) {
    const warn = context.warn && ((message: string): void => context.warn!(`${name}: ${message}`));
    let file: SampleFile | undefined;
    const openSamples = async (): Promise<SampleFile> => {
      if (file !== undefined) return file;
      model ??= await fingerprintModel(decoder, context.tokenizer);
      const place = path.join(samples!, `${name}.jsonl`);
      file = openSampleLog(place, { evaluator: name, kind, options, model }, { onOther });
      if (file.size > 0) warn?.(`goes on from the ${file.size} samples in ${place}`);
      return file;
    };
    try {
      const evaluate = () =>
        evaluator.evaluate({
          ...context,
          ...(warn === undefined ? {} : { warn }),
          onProgress: onceASecond((done, total) => onProgress?.(name, done, total)),
          ...(samples === undefined ? {} : { openSamples }),
        });
      const scores = await whileUnchanged(decoder.checkpoint.files, evaluate);
      const fault = faultOfScores(scores);
      if (fault !== undefined) throw wrongResult(evaluator, 'evaluate()', fault);
      await checkOutputs(decoder, Object.values(scores));
      await file?.finish();
      yield { name, scores };
    } finally {
      file?.close();
    }
  }
}

/** The first call comes after a second too: what is quick needs no progress. */
function onceASecond(report: (done: number, total: number) => void): (done: number, total: number) => void {
  let last = performance.now();
  return (done, total) => {
    const now = performance.now();
    if (now - last < 1000) return;
    last = now;
    report(done, total);
  };
}

/** What is wrong with what an evaluator gave, in plain JavaScript too; undefined: they are scores, finite or not. */
function faultOfScores(scores: unknown): string | undefined {
  const expected = 'expected a record of at least one number, such as { loss: 2.19 }';
  if (typeof scores !== 'object' || scores === null || Array.isArray(scores))
    return `it gave ${quote(scores)}; ${expected}`;
  const entries = Object.entries(scores);
  if (entries.length === 0) return `it gave no score; ${expected}`;
  const wrong = entries.find(([, value]) => typeof value !== 'number');
  return wrong && `it gave ${quote(wrong[1])} as ${JSON.stringify(wrong[0])}; ${expected}`;
}

function quote(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'a record';
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'function' ? 'a function' : (quoteValue(value) ?? String(value));
}
