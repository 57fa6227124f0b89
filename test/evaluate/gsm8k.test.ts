import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gsm8kEvaluator } from '@glulam/evaluator-gsm8k';
import { testEvaluator } from '@glulam/testing';
import { openModel, train } from '@glulam/trainer';
import { loadConfig } from 'glulam';
import { describe, expect, test } from 'vitest';
import { eventsOf, tinyRun } from '../support/tiny.js';

const examples = path.resolve(import.meta.dirname, '../../examples/data');
const [file, shots] = ['heldout', 'train'].map((name) => path.join(examples, `word-problems.${name}.jsonl`)) as [
  string,
  string,
];

async function open() {
  const { config, composition } = tinyRun();
  return { ...(await openModel(config, composition)), heldOut: [], signal: new AbortController().signal };
}
const evaluate = async (options: object) => {
  const context = await open();
  try {
    const evaluator = gsm8kEvaluator.open(gsm8kEvaluator.schema.parse({ file, examples: shots, ...options }));
    return await evaluator.evaluate(context);
  } finally {
    await context.close();
  }
};

testEvaluator(gsm8kEvaluator, {
  options: [
    { file, shots: 0, limit: 2 },
    { file, examples: shots, shots: 2, limit: 2, profile: 'v1' },
  ],
  open,
});

describe('gsm8k', () => {
  test('counts what the model gets right: here it is taught the answers', async () => {
    const learnt = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-gsm8k-')), 'learnt.jsonl');
    writeFileSync(
      learnt,
      ['2 + 2?|4', '3 + 4?|7', '9 - 4?|5', '8 - 8?|1']
        .map((row) => {
          const [question, answer] = row.split('|');
          return JSON.stringify({ question, answer: `It is ${answer}.\n#### ${answer}` });
        })
        .join('\n'),
    );
    // One of the four is asked for an answer other than the learnt one.
    const asked = path.join(path.dirname(learnt), 'asked.jsonl');
    writeFileSync(asked, readFileSync(learnt, 'utf8').replace('It is 1.\\n#### 1', 'It is 0.\\n#### 0'));
    const { config, composition, out } = tinyRun({
      adapter: { kind: 'lora', r: 8, lora_alpha: 16 },
      data: { train: learnt },
      train: { steps: 60, batch: 4, learningRate: 1e-2 },
      evaluate: { evaluators: [{ kind: 'gsm8k', file: asked, shots: 0 }] },
    });
    await train(config, composition);
    const last = eventsOf(out).findLast(({ type }) => type === 'evaluation.finished') as { scores: object };
    const stderr = Math.sqrt(0.25 / 4);
    expect(last.scores).toEqual({
      strict: 0.75,
      strict_stderr: stderr,
      flexible: 0.75,
      flexible_stderr: stderr,
      questions: 4,
    });
  });

  test('files are taken from the config’s folder', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'glulam-gsm8k-'));
    const fields = {
      base: 'b',
      data: { train: 't.jsonl' },
      evaluate: { evaluators: [{ kind: 'gsm8k', file: 'x.jsonl' }] },
    };
    const { config } = await loadConfig(fields, {}, folder);
    expect(config.evaluate.evaluators).toEqual([{ kind: 'gsm8k', file: path.join(folder, 'x.jsonl') }]);
  });

  test('what cannot be evaluated is refused with the reason', async () => {
    const bad = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-gsm8k-')), 'bad.jsonl');
    const cases: [object, RegExp][] = [
      [
        { examples: undefined },
        /draws 5 examples for its prompts; name a file of them as examples, set shots to 0, or choose the profile cot/,
      ],
      [{ file: `${bad}.gone` }, /cannot read .*bad.jsonl.gone/],
      [{ examples: file, shots: 65 }, /has 64 problems; expected at least 65/],
      [
        { shots: 60 },
        /all 64 questions, with what is to follow them, exceed the 2048 positions of the model; put fewer/,
      ],
      [{ profile: 'cot' }, /has examples of its own in the profile cot; leave the option examples out/],
      [{ profile: 'cot', examples: undefined, shots: 9 }, /has 8 examples in the profile cot; got shots 9/],
    ];
    for (const [options, message] of cases) await expect(evaluate(options)).rejects.toThrow(message);
    for (const [text, message] of [
      ['', /has no row that can be asked: it is empty/],
      ['{"question": "x"', /bad.jsonl:1 is not JSON/],
      ['{"question": "x", "answer": 4}', /no row that can be asked:\n {2}1 row \(1\): answer: .*expected string/],
    ] as const) {
      writeFileSync(bad, text);
      await expect(evaluate({ file: bad })).rejects.toThrow(message);
    }
  });
});
