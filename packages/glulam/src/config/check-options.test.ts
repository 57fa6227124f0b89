import { describe, expect, test } from 'vitest';
import { ablate } from '../commands/ablate/ablate.js';
import { evaluate } from '../commands/eval/evaluate.js';
import { generate } from '../commands/generate/generate.js';
import { loadConfig } from './load-config.js';
import { merge } from '../commands/merge/merge.js';
import { openModel } from '../models/open-model.js';
import { plan } from '../commands/plan/plan.js';
import { run } from '../commands/train/run.js';
import { search } from '../commands/search/search.js';

// As from code without types.
type Loose = (...given: unknown[]) => Promise<unknown>;
const functions: Readonly<Record<string, Loose>> = {
  ablate: ablate as Loose,
  evaluate: evaluate as Loose,
  generate: async (...given) => (generate as (...args: unknown[]) => AsyncGenerator)(...given).next(),
  merge: merge as Loose,
  openModel: openModel as Loose,
  plan: plan as Loose,
  run: run as Loose,
  search: search as Loose,
};

const refused = (name: string, ...given: unknown[]) =>
  expect(functions[name]!(...given)).rejects.toMatchObject({ name: 'GlulamError', code: 'USAGE' });

describe.each(Object.keys(functions))('%s', (name) => {
  const needed = { generate: { prompt: 'x' }, merge: { out: 'x' } }[name] ?? {};

  test.each([null, 'x', 5, ['x'], () => ({})])('refuses %o as its options', (options) =>
    refused(name, 'nowhere', options),
  );

  test.each([undefined, null, 5, [], { decoder: {}, config: {} }])('refuses the first argument %o', (source) =>
    name === 'generate' || name === 'evaluate'
      ? refused(name, source, { ...needed, overrides: {} })
      : refused(name, source, needed),
  );

  test.each([
    ['an unknown name', { overides: {} }, /has no option overides; did you mean overrides\?$/],
    [
      'a key of the config',
      { 'train.steps': 1 },
      /has no option train\.steps; give it as overrides: \{ 'train\.steps': /,
    ],
    ['a name like no other', { quick: true }, /has no option quick; its options are .*signal, folder, overrides/],
    ['a wrong type', { folder: 5 }, /the option folder is 5; expected a text$/],
    [
      'a controller as its signal',
      { signal: new AbortController() },
      /the option signal is .*; expected an AbortSignal/,
    ],
  ])('refuses %s', async (_, options, message) => {
    await expect(functions[name]!('nowhere', { ...needed, ...options })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message) as string,
    });
  });

  test('takes options that are undefined as left out', async () => {
    const error: unknown = await functions[name]!('nowhere', { ...needed, signal: undefined, folder: undefined }).catch(
      (each: unknown) => each,
    );
    expect(error).toMatchObject({ code: expect.stringMatching(/NOT_FOUND/) as string });
  });
});

test.each([
  ['generate', undefined, /got undefined as its options; expected a record: generate\('runs\/mine', \{ question: /],
  ['generate', {}, /needs a question or a prompt: generate\(/],
  ['generate', { promt: 'x' }, /has no option promt; did you mean prompt\?/],
  ['generate', { prompt: 'x', maxNewTokens: 5 }, /has no option maxNewTokens; did you mean maxTokens\?/],
  ['generate', { prompt: 'x', max_new_tokens: 5 }, /did you mean maxTokens\?/],
  ['generate', { prompt: 5n }, /prompt is "5n"; expected a text, or a list or Int32Array of token ids/],
  ['generate', { prompt: ['x'] }, /prompt is the list \["x"\]; expected a text, or a list or Int32Array of token ids/],
  ['generate', { prompt: 'x', stop: 'y' }, /stop is the text "y"; expected a list of texts/],
  ['generate', { question: '' }, /got an empty question/],
  ['generate', { question: 'x', prompt: 'y' }, /prompt and chat exclude it/],
  ['generate', { question: 'x', chat: true }, /prompt and chat exclude it/],
  [
    'generate',
    { question: 'x', columns: { context: 5 } },
    /columns is the record \{"context":5\}; expected a record of texts/,
  ],
  ['generate', { prompt: 'x', columns: { context: 'y' } }, /columns belong to a question/],
  ['merge', undefined, /got undefined as its options; expected a record: merge\('runs\/mine', \{ out: 'merged' \}\)/],
  ['merge', {}, /needs the option out: merge\('runs\/mine', \{ out: 'merged' \}\)/],
  ['merge', { out: 'x', dtype: 'int8' }, /dtype is the text "int8"; expected 'float32' or 'bfloat16' or 'float16'/],
  ['merge', { out: 'x', adapters: 'base' }, /adapters is the text "base"; expected a list of folders/],
  ['evaluate', { adapters: 'runs/b' }, /adapters is the text "runs\/b"; expected 'none', 'base' or a list of folders/],
  ['evaluate', { adapters: [{ name: 'runs/b' }] }, /expected .* \{ name: 'runs\/b', weight: 0\.5 \}/],
  ['evaluate', { limit: '5' }, /limit is the text "5"; expected a number/],
  ['run', { resume: 'yes' }, /resume is the text "yes"; expected true or false/],
  ['search', { onMap: {} }, /onMap is the record \{\}; expected a function/],
])('%s with %o says what is wrong', async (name, options, message) => {
  await expect(functions[name]!('nowhere', options)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(message) as string,
  });
});

test.each([
  [[['steps']], /overrides is the list \["steps"\]; expected values by their paths/],
  [[{}, 5], /folder is 5; expected a text/],
  [[{}, '.', { quite: true }], /has no option quite; did you mean quiet\?/],
])('loadConfig with %o says what is wrong', async (rest, message) => {
  await expect((loadConfig as Loose)('nowhere', ...rest)).rejects.toThrow(message);
});
