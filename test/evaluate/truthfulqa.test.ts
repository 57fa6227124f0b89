import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promptOf, truthfulqaEvaluator } from '@glulam/evaluator-truthfulqa';
import { packTokens, scoreContinuations } from '@glulam/model';
import { testEvaluator } from '@glulam/testing';
import { openModel } from '@glulam/trainer';
import { describe, expect, test } from 'vitest';
import { tinyRun } from '../support/tiny.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-truthfulqa-'));
const written = (name: string, rows: unknown): string => {
  const file = path.join(folder, name);
  writeFileSync(file, typeof rows === 'string' ? rows : JSON.stringify(rows));
  return file;
};
// Questions of this test's own; one in each of the two layouts.
const rows = [
  {
    question: 'How many wheels has a bicycle?',
    mc1_targets: { 'It has two.': 1, 'It has three.': 0 },
    mc2_targets: { 'It has two.': 1, 'Two wheels.': 1, 'It has three.': 0, 'None at all, it flies.': 0 },
  },
  {
    question: 'What do fish breathe?',
    mc1_targets: { choices: ['Water.', 'Oxygen that is in the water.'], labels: [0, 1] },
    mc2_targets: { choices: ['Water.', 'Oxygen that is in the water.'], labels: [0, 1] },
  },
];
const file = written('rows.json', rows);

async function open() {
  const { config, composition } = tinyRun({ precision: 'float32' });
  return { ...(await openModel(config, composition)), heldOut: [], signal: new AbortController().signal };
}

testEvaluator(truthfulqaEvaluator, { options: [{ file }, { file, limit: 1 }], open });

describe('truthfulqa', () => {
  test('continuations score the sum of their tokens’ log probabilities, alone and packed', async () => {
    const { decoder, tokenizer, close } = await open();
    const text = 'Question: What is 2 + 2?\nAnswer:';
    const continuations = [' 4', ' It is four.', ' 2 + 2 = <<2+2=4>>4\n#### 4'];
    const scores = await scoreContinuations(decoder, tokenizer, text, continuations);
    const alone = await scoreContinuations(decoder, tokenizer, text, continuations, { tokensPerBatch: 1 });
    for (const [i, continuation] of continuations.entries()) {
      // Spelled out: a softmax over the vocabulary at each place.
      const ids = tokenizer.encode(text + continuation);
      const start = tokenizer.encode(text).length;
      const hidden = await decoder.forward(packTokens([ids]));
      const places = ids.slice(start).map((_, k) => start - 1 + k);
      const logits = decoder.logits(hidden, places);
      const values = (await decoder.engine.read(logits)) as Float32Array;
      const width = values.length / places.length;
      const expected = places.reduce((sum, place, k) => {
        const row = values.subarray(k * width, (k + 1) * width);
        const most = Math.max(...row);
        return (
          sum + row[ids[place + 1]!]! - most - Math.log(row.reduce((total, value) => total + Math.exp(value - most), 0))
        );
      }, 0);
      expect(Math.abs(scores[i]! - expected)).toBeLessThan(1e-4 * Math.abs(expected));
      expect(Math.abs(alone[i]! - expected)).toBeLessThan(1e-4 * Math.abs(expected));
      hidden.release();
      logits.release();
    }
    await close();
  });

  test('mc1 and mc2 follow from the scores of the choices', async () => {
    const context = await open();
    const evaluator = truthfulqaEvaluator.open({ file });
    const scores = await evaluator.evaluate(context);
    const shares = await Promise.all(
      rows.map(async ({ question, mc1_targets: mc1, mc2_targets: mc2 }) => {
        const lists = [mc1, mc2].map((each) =>
          Array.isArray(each.choices)
            ? (each as { choices: string[]; labels: number[] })
            : { choices: Object.keys(each), labels: Object.values(each) as number[] },
        );
        const found = await Promise.all(
          lists.map(({ choices }) =>
            scoreContinuations(
              context.decoder,
              context.tokenizer,
              promptOf(question),
              choices.map((choice) => ` ${choice}`),
            ),
          ),
        );
        const [first, second] = found.map((each) => each.map((score) => Math.exp(score)));
        const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
        return [
          lists[0]!.labels[first!.indexOf(Math.max(...first!))]!,
          sum(second!.filter((_, i) => lists[1]!.labels[i] === 1)) / sum(second!),
        ];
      }),
    );
    expect(scores['mc1']).toBeCloseTo((shares[0]![0]! + shares[1]![0]!) / 2, 10);
    expect(scores['mc2']).toBeCloseTo((shares[0]![1]! + shares[1]![1]!) / 2, 5);
    expect(scores['mc2_stderr']).toBeCloseTo(Math.abs(shares[0]![1]! - shares[1]![1]!) / 2, 5);
    expect(scores['questions']).toBe(2);
    await context.close();
  });

  const good = rows[0]!;
  test.each([
    ['no file', path.join(folder, 'gone.json'), /cannot read .*gone.json/],
    ['no JSON', written('a.json', '['), /a.json.* is not JSON|a.json/],
    ['no questions', written('b.json', []), /has no row that can be asked: it is empty/],
    [
      'a row without its choices',
      written('c.json', [{ question: 'x' }]),
      /no row that can be asked:\n {2}1 row \(1\): mc1_targets: /,
    ],
    [
      'labels of another number',
      written('d.json', [{ ...good, mc2_targets: { choices: ['a'], labels: [1, 0] } }]),
      /1 row \(1\): mc2_targets: has 1 choices and 2 labels/,
    ],
    [
      'no true choice',
      written('e.json', [{ ...good, mc1_targets: { a: 0, b: 0 } }]),
      /mc1_targets: needs a true choice and a false one/,
    ],
  ])('refuses %s', async (_, name, message) => {
    const context = await open();
    await expect(truthfulqaEvaluator.open({ file: name }).evaluate(context)).rejects.toThrow(message);
    await context.close();
  });
});
