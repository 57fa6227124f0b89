import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { taskEvaluator } from '@glulam/evaluator-task';
import { createSampleRecorder, testEvaluator } from '@glulam/testing';
import { openModel, type EvaluationContext, type OpenModel } from '@glulam/trainer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyRun } from '../support/tiny.js';

// What these tasks say of a model is compared with lm-evaluation-harness in lm-eval.test.ts.
const fixtures = path.resolve(import.meta.dirname, '../../fixtures/lm-eval');
const folder = mkdtempSync(path.join(tmpdir(), 'glulam-task-'));
let files = 0;
const written = (ending: string, text: string): string => {
  const file = path.join(folder, `${files++}.${ending}`);
  writeFileSync(file, text);
  return file;
};
const problems = path.resolve(import.meta.dirname, '../../examples/data/word-problems.heldout.jsonl');
const sums =
  'output_type: generate_until\ndoc_to_text: question\ndoc_to_target: answer\ngeneration_kwargs: { max_gen_toks: 6 }\n';
const rowsOf = (rows: readonly unknown[]): string =>
  written('jsonl', rows.map((row) => JSON.stringify(row)).join('\n'));

async function open() {
  const { config, composition } = tinyRun();
  return { ...(await openModel(config, composition)), heldOut: [], signal: new AbortController().signal };
}

testEvaluator(taskEvaluator, {
  options: [
    { file: path.join(fixtures, 'quiz.yaml'), limit: 3 },
    { file: written('yaml', sums), data: problems, limit: 6, batch: 1 },
  ],
  open,
});

describe('task', () => {
  let model: OpenModel & EvaluationContext;
  beforeAll(async () => void (model = await open()));
  afterAll(() => model.close());

  const evaluate = async (task: object, rows: readonly unknown[], options: object = {}) => {
    const file = written('json', JSON.stringify(task));
    const [log, told] = [createSampleRecorder(), [] as string[]];
    const { openSamples } = log;
    const scores = await taskEvaluator
      .open(taskEvaluator.schema.parse({ file, data: rowsOf(rows), ...options }))
      .evaluate({ ...model, openSamples, warn: (message) => void told.push(message) });
    return { scores, samples: log.written, told };
  };
  const choice = {
    output_type: 'multiple_choice',
    doc_to_text: '{{q}}',
    doc_to_choice: ['yes', 'no'],
    doc_to_target: 'label',
  };
  const generate = {
    output_type: 'generate_until',
    doc_to_text: '{{q}}',
    doc_to_target: 'a',
    generation_kwargs: { max_gen_toks: 3 },
  };

  test('choices: of all rows, of a column, of a template; labels as numbers and texts', async () => {
    const forms = [
      [choice, { q: 'x', label: 1 }],
      [choice, { q: 'x', label: 'no' }],
      [
        { ...choice, doc_to_target: '{{ label }}' },
        { q: 'x', label: 1 },
      ],
      [{ ...choice, doc_to_target: 1 }, { q: 'x' }],
      [
        { ...choice, doc_to_choice: 'options' },
        { q: 'x', options: ['yes', 'no'], label: 1 },
      ],
      [
        { ...choice, doc_to_choice: '{{ [a, b] }}' },
        { q: 'x', a: 'yes', b: 'no', label: 1 },
      ],
      [
        { ...choice, doc_to_choice: '{{ options.text }}' },
        { q: 'x', options: { text: ['yes', 'no'] }, label: 1 },
      ],
    ] as const;
    const all = await Promise.all(forms.map(([task, row]) => evaluate(task, [row])));
    for (const { samples, scores } of all) {
      expect(samples[0]).toMatchObject({ prompt: 'x', choices: [' yes', ' no'], expected: 'no' });
      expect(scores).toEqual(all[0]!.scores);
      const [yes, no] = samples[0]!.output as number[];
      expect(scores['acc']).toBe(no! > yes! ? 1 : 0);
      expect(scores['acc_norm']).toBe(no! / 2 > yes! / 3 ? 1 : 0);
    }
  });

  test('a column that says a number is a text where a choice is called so', async () => {
    const { samples } = await evaluate({ ...choice, doc_to_choice: ['3', '4'] }, [{ q: 'x', label: '4' }]);
    expect(samples[0]!.expected).toBe('4');
  });

  test('rows that cannot be used are left out, told and counted', async () => {
    const { scores, told, samples } = await evaluate(choice, [
      { q: 'x', label: 2 },
      { q: 'x' },
      { label: 1 },
      { q: 'fine', label: 0 },
      7,
      { q: 'x', label: 'maybe' },
    ]);
    expect(samples.map(({ prompt }) => prompt)).toEqual(['fine']);
    expect(scores).toMatchObject({ questions: 1, skipped: 5 });
    expect(told[0]).toMatch(
      /5 of 6 rows are left out:[^]*2 rows \(1, 6\): doc_to_target: expected the number of a choice[^]*1 row \(3\): the column q is missing[^]*the row is no object/,
    );
    await expect(evaluate(choice, [])).rejects.toThrow(/no row that can be asked: it is empty/);
    await expect(evaluate(choice, [{ q: 'x' }])).rejects.toThrow(
      /no row that can be asked:\n {2}1 row \(1\): the column label is missing/,
    );
  });

  test('an answer that no pattern finds is counted and told, and is never right', async () => {
    const rows = [
      { q: 'Question: 1 + 1?\nAnswer:', a: '' },
      { q: 'Question: 2 + 2?\nAnswer:', a: '[invalid]' },
    ];
    const filter = (regex_pattern: string) => [{ name: 'none', filter: [{ function: 'regex', regex_pattern }] }];
    for (const pattern of ['never (seen)', '()']) {
      const { scores, told, samples } = await evaluate({ ...generate, filter_list: filter(pattern) }, rows);
      expect(scores).toEqual({ none: 0, none_stderr: 0, questions: 2, none_unanswered: 2 });
      expect(told).toEqual([
        'none: no answer was found in any of 2 texts; look at them: they may need another pattern',
      ]);
      expect(samples.map(({ found }) => found)).toEqual([{ none: null }, { none: null }]);
    }
    await expect(evaluate({ ...generate, filter_list: filter('(') }, rows)).rejects.toThrow(
      /filter_list: the regex_pattern of none is no regular expression/,
    );
    const any = await evaluate({ ...generate, filter_list: filter('(?s).+') }, rows);
    expect(any.samples.map(({ found, output }) => found!['none'] === (output as string).trim())).toEqual([true, true]);
  });

  test('texts are compared as the metric says', async () => {
    const first = await evaluate(generate, [{ q: 'Question: 1 + 1?\nAnswer:', a: 'x' }]);
    const text = first.samples[0]!.output as string;
    expect(first.scores['exact_match']).toBe(0);
    const metric = {
      metric: 'exact_match',
      ignore_case: true,
      ignore_punctuation: true,
      regexes_to_ignore: ['^SURE: '],
    };
    const score = async (a: string, metric_list?: object[]) => {
      const task = { ...generate, ...(metric_list === undefined ? {} : { metric_list }) };
      return (await evaluate(task, [{ q: 'Question: 1 + 1?\nAnswer:', a }])).scores['exact_match'];
    };
    expect(await score(` ${text.trim()}\n`)).toBe(1);
    expect(await score(`SURE: ${text.trim().toUpperCase()}!`)).toBe(0);
    expect(await score(`SURE: ${text.trim().toUpperCase()}!`, [metric])).toBe(1);
  });

  test.each<[string, string | object, RegExp]>([
    ['no type', { doc_to_text: 'x' }, /output_type is undefined; expected multiple_choice or generate_until/],
    ['an unknown field', { ...choice, doc_to_txt: 'x' }, /doc_to_txt is not an option; did you mean doc_to_text\?/],
    [
      'two faults',
      { ...generate, doc_to_target: undefined, num_fewshot: -1 },
      /num_fewshot[^]*doc_to_target|doc_to_target[^]*num_fewshot/,
    ],
    ['sampling', { ...generate, generation_kwargs: { do_sample: true } }, /generation_kwargs.do_sample/],
    [
      'two filters that search',
      { ...generate, filter_list: [{ name: 'x', filter: [] }] },
      /expected one filter of the function regex/,
    ],
    ['a template that is none', { ...choice, doc_to_text: '{{ q' }, /doc_to_text cannot be parsed as Jinja/],
    ['no YAML', 'a: [', /the task file .* cannot be read/],
    [
      'more examples than there are',
      { ...choice, num_fewshot: 2 },
      /there are 1 examples to draw 2 from; expected at least 3/,
    ],
  ])('refuses %s', async (_, task, message) => {
    const file = written('yaml', typeof task === 'string' ? task : JSON.stringify(task));
    const evaluator = taskEvaluator.open(
      taskEvaluator.schema.parse({ file, data: rowsOf([{ q: 'x', a: 'y', label: 1 }]) }),
    );
    await expect(evaluator.evaluate(model)).rejects.toThrow(message);
  });

  test('refuses a task without data, and a file that is not there', async () => {
    const run = (file: string) => taskEvaluator.open(taskEvaluator.schema.parse({ file })).evaluate(model);
    await expect(run(written('json', JSON.stringify(choice)))).rejects.toThrow(/data is missing: name a file/);
    await expect(run(path.join(folder, 'gone.yaml'))).rejects.toThrow(/gone.yaml cannot be read/);
  });
});
