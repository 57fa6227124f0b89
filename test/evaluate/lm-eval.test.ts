import path from 'node:path';
import { gsm8kEvaluator } from '@glulam/evaluator-gsm8k';
import { taskEvaluator } from '@glulam/evaluator-task';
import { truthfulqaEvaluator } from '@glulam/evaluator-truthfulqa';
import { createSampleRecorder } from '@glulam/testing';
import { openModel, type EvaluatorContribution, type OpenModel } from '@glulam/trainer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareSamples, readJsonLines } from '../../tools/check/compare-lm-eval.mjs';
import { tinyRun } from '../support/tiny.js';

// Sample by sample what lm-evaluation-harness says of the same model and rows; fixtures/lm-eval tells how it was asked.
const root = path.resolve(import.meta.dirname, '../..');
const fixtures = path.join(root, 'fixtures/lm-eval');
const [file, examples] = ['heldout', 'train'].map((name) =>
  path.join(root, `examples/data/word-problems.${name}.jsonl`),
) as [string, string];
const truths = { file: path.join(fixtures, 'truths.json') };

let model: OpenModel;
beforeAll(async () => {
  const { config, composition } = tinyRun({ precision: 'float32', expansion: undefined });
  model = await openModel(config, composition);
});
afterAll(() => model.close());

test.each<[string, EvaluatorContribution<never>, object, Record<string, string>]>([
  ['gsm8k', gsm8kEvaluator, { file, examples, limit: 8 }, {}],
  ['gsm8k_cot', gsm8kEvaluator, { file, profile: 'cot', limit: 8 }, {}],
  ['truthfulqa_mc1', truthfulqaEvaluator, truths, { acc: 'mc1' }],
  ['truthfulqa_mc2', truthfulqaEvaluator, truths, { acc: 'mc2' }],
  ['quiz', taskEvaluator, { file: path.join(fixtures, 'quiz.yaml') }, {}],
  ['sums', taskEvaluator, { file: path.join(fixtures, 'sums.yaml'), limit: 8 }, {}],
] as never)('%s', async (name, evaluator, options, names) => {
  const samples = createSampleRecorder();
  const { decoder, tokenizer } = model;
  const { signal } = new AbortController();
  await evaluator
    .open(evaluator.schema.parse(options))
    .evaluate({ decoder, tokenizer, heldOut: [], signal, openSamples: samples.openSamples });
  const reference = readJsonLines(path.join(fixtures, `${name}.samples.jsonl`)) as Parameters<typeof compareSamples>[1];
  const { compared, differences } = compareSamples(samples.written, reference, names);
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThanOrEqual(5);
});
