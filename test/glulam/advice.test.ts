import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runAlone, runShared } from '../support/cli.js';

// What the built command line says where a word, an option or a file is not what was meant.
const root = path.resolve(import.meta.dirname, '../..');
const work = mkdtempSync(path.join(tmpdir(), 'glulam-advice-'));
const at = (...parts: string[]): string => path.join(work, ...parts);

const options = { cwd: work, env: { ...process.env, XDG_CONFIG_HOME: at('settings') } };
const glulam = (...args: string[]) => runShared(args, options);

const fields = {
  base: path.join(root, 'examples/models/tiny-mistral-gsm8k'),
  data: {
    train: path.join(root, 'examples/data/word-problems.train.jsonl'),
    heldOut: path.join(root, 'examples/data/word-problems.heldout.jsonl'),
  },
};
writeFileSync(at('c.json'), JSON.stringify(fields));
writeFileSync(at('rows.json'), JSON.stringify({ ...fields, data: { train: [{ question: 'a', answer: 'b' }] } }));
writeFileSync(at('hang.json'), JSON.stringify({ ...fields, plugins: ['./hang.mjs'] }));
for (const name of ['hang.mjs', 'hang.ts'])
  writeFileSync(at(name), 'await new Promise(() => {});\nexport default {};\n');

const stuck = 'it waits for something that never comes \\(a top-level await\\)';

describe('exit code 1 and', () => {
  // Of these the end is noticed by a process with nothing left to do, so each has one of its own.
  test.each<[string, string[], RegExp]>([
    [
      'a plugin that never loads',
      ['plan', 'hang.json'],
      new RegExp(`the plugin ./hang.mjs cannot be loaded: ${stuck}`),
    ],
    ['a config in JavaScript that never loads', ['plan', 'hang.mjs'], new RegExp(`hang.mjs cannot be read: ${stuck}`)],
    ['a config in TypeScript that never loads', ['plan', 'hang.ts'], new RegExp(`hang.ts cannot be read: ${stuck}`)],
  ])('%s', async (_, args, message) => {
    const { code, err } = await runAlone(args, options);
    expect(err).toMatch(message);
    expect(code).toBe(1);
  });

  test.each<[string, string[], RegExp]>([
    [
      'a misspelt group',
      ['plan', 'c.json', '--trian.steps', '3'],
      /:\n {2}--trian\.steps is not an option; did you mean --train\.steps\?\n$/,
    ],
    [
      'a format as a text',
      ['data', 'c.json', '--data.train.file', 'a.jsonl', '--data.train.format', 'question_anwser'],
      /:\n {2}--data\.train\.format: expected a record, got "question_anwser"; did you mean --data\.train\.format\.kind question_answer\?\n$/,
    ],
    [
      'rows in place of a file',
      ['data', 'rows.json'],
      /data\.train is a list of 1 row; rows themselves are written as data\.train: \{ rows: \[\.\.\.\] \}\n$/,
    ],
    [
      'a misspelt evaluator, in a plan',
      ['plan', 'c.json', '--evaluate.watch.evaluator', 'los'],
      /evaluate\.watch\.evaluator is "los"; evaluators of this run: loss; did you mean "loss"\?/,
    ],
    [
      'a misspelt score, in a plan',
      ['plan', 'c.json', '--evaluate.watch.score', 'los'],
      /evaluate\.watch\.score is "los"; the evaluator loss gives loss, .*; did you mean "loss"\?/,
    ],
    [
      'a misspelt score, in training',
      ['train', 'c.json', '--evaluate.watch.score', 'los'],
      /evaluate\.watch\.score is "los"; the evaluator loss gives loss/,
    ],
    [
      'a misspelt score, in a search',
      ['search', 'c.json', '--evaluate.watch.score', 'los'],
      /evaluate\.watch\.score is "los"; the evaluator loss gives loss/,
    ],
    [
      'a temperature that is none, before the model is looked for',
      ['generate', 'nowhere', '--prompt', 'a', '--temperature', 'hot'],
      /--temperature is "hot"; expected a number/,
    ],
  ])('%s', async (_, args, message) => {
    const { code, err } = await glulam(...args);
    expect(err).toMatch(message);
    expect(code).toBe(1);
  });

  test.each([
    ['evaluate', 'eval'],
    ['resume', 'train RUN --resume'],
    ['version', '--version'],
    ['finetune', 'train'],
    ['run', 'train'],
    ['inspect', 'plan'],
    ['quantize', 'export'],
    ['infer', 'generate'],
    ['toString', undefined],
  ])('the command "%s"', async (word, meant) => {
    const { code, err } = await glulam(word, 'x');
    expect(err).toContain(meant === undefined ? 'its commands are data, plan' : `did you mean glulam ${meant}?`);
    expect(code).toBe(1);
  });
});

test('data takes a run folder, whose plugins wait for an agreement, and no command advises to run its code', async () => {
  for (const name of ['run', 'hostile']) mkdirSync(at(name));
  writeFileSync(at('run/config.json'), JSON.stringify(fields));
  writeFileSync(at('hostile/config.json'), JSON.stringify({ ...fields, plugins: ['./evil.mjs'] }));
  const evil = `import { writeFileSync } from 'node:fs';\nwriteFileSync(${JSON.stringify(at('ran'))}, '');\n`;
  writeFileSync(at('hostile/evil.mjs'), evil);
  expect((await glulam('data', 'run', '--samples', '0')).code).toBe(0);
  expect((await glulam('data', 'hostile')).err).toMatch(/^error \[PLUGINS_UNTRUSTED\]: /);
  for (const args of [
    ['schema', '--config', 'hostile'],
    ['plugins', '--config', 'hostile'],
  ])
    expect((await glulam(...args)).err).toMatch(
      /is a folder, not a config file; did you mean \S*hostile\/config\.json\?\n$/,
    );
  expect(existsSync(at('ran'))).toBe(false);
});
