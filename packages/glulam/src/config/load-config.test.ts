import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from './load-config.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-config-'));

test.each([
  ['deep.yaml', `base: ${'['.repeat(5000)}`, /deep\.yaml cannot be read: it nests lists or records deeper than 64/],
  ['cut.yml', 'base: {', /cut\.yml cannot be read: it is not YAML/],
  [
    'deep.json',
    `{"data": ${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
    /deep\.json nests lists or records deeper than 64/,
  ],
  ['long.yaml', `a: >-${'('.repeat(50_000)}`, /long\.yaml cannot be read: it is not YAML: [^]{1,4000}…$/],
  ['cut.json', '{"base": ', /cut\.json cannot be read: /],
  ['list.json', '[]', /list\.json holds a list; expected a config with at least { "base"/],
])('%s is refused by name', async (name, text, message) => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  await expect(loadConfig(file)).rejects.toMatchObject({
    code: 'CONFIG_UNREADABLE',
    message: expect.stringMatching(message) as string,
  });
});

describe("a base checkpoint's config.json", () => {
  const damaged = (fault: string): RegExp =>
    new RegExp(
      `config\\.json is the config\\.json of a base checkpoint, .* and it is damaged: ${fault}.*\\. Download it again`,
    );
  test.each([
    ['', damaged('it is empty')],
    ['{"model_type": "llama", "hidden', damaged('')],
    ['[]', damaged('it holds a list, expected an object')],
    ['null', damaged('it holds null, expected an object')],
    ['{}', damaged('it names no model_type')],
    ['{"model_type": "llama"}', /\(model_type "llama"\), not a config of Glulam's; write one with base: "/],
  ])('%j is no config', async (text, message) => {
    const base = mkdtempSync(path.join(tmpdir(), 'glulam-config-'));
    writeFileSync(path.join(base, 'config.json'), text);
    writeFileSync(path.join(base, 'tokenizer.json'), '{}');
    await expect(loadConfig(path.join(base, 'config.json'))).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      message: expect.stringMatching(message) as string,
    });
  });

  test('is one by its model_type, whatever is beside it', async () => {
    const file = path.join(folder, 'alone.json');
    writeFileSync(file, '{"model_type": "mistral", "hidden_size": 8}');
    await expect(loadConfig(file)).rejects.toThrow(/the config\.json of a base checkpoint \(model_type "mistral"\)/);
  });

  test("a config of Glulam's may be beside a base's files", async () => {
    const base = mkdtempSync(path.join(tmpdir(), 'glulam-config-'));
    writeFileSync(path.join(base, 'config.json'), '{"base": ".", "data": {"train": "a"}}');
    writeFileSync(path.join(base, 'tokenizer.json'), '{}');
    expect((await loadConfig(path.join(base, 'config.json'))).config.base).toBe(base);
  });
});

test('aliases of a YAML config are values', async () => {
  const file = path.join(folder, 'good.yaml');
  writeFileSync(file, 'base: &here .\ndata:\n  train: *here\n');
  const { config } = await loadConfig(file);
  expect([config.base, config.data.train]).toEqual([folder, folder]);
});

test('of a kind of any length the beginning is quoted', async () => {
  const file = path.join(folder, 'long.json');
  writeFileSync(file, JSON.stringify({ base: '.', data: { train: 'a' }, adapter: { kind: '('.repeat(20_000) } }));
  await expect(loadConfig(file)).rejects.toThrow(/\n  adapter\.kind \(line 1\) is "\({3000}.{0,1000}…$/);
});

test('steps and epochs exclude each other; on the command line one replaces the other', async () => {
  const fields = { base: 'base', data: { train: 'rows.jsonl' } };
  await expect(loadConfig({ ...fields, train: { steps: 5, epochs: 2 } })).rejects.toThrow(
    /train: steps and epochs both say how long to train/,
  );
  const replaced = await loadConfig({ ...fields, train: { epochs: 2 } }, { 'train.steps': 5 });
  expect(replaced.config.train).toMatchObject({ steps: 5 });
  expect(replaced.config.train.epochs).toBeUndefined();
  await expect(loadConfig(fields, { 'train.steps': 5, 'train.epochs': 1 })).rejects.toThrow(/keep one of them/);
});

test.each<[string, unknown, RegExp]>([
  [
    'a list',
    [{ question: 'a', answer: 'b' }],
    /data\.train is a list of 1 row; rows themselves are written as data\.train: \{ rows: \[\.\.\.\] \}/,
  ],
  [
    'a function',
    () => [],
    /data\.train is a function; rows themselves are written as data\.train: \{ rows: \(\) => \.\.\. \}/,
  ],
  ['an iterable', new Set(['a']), /data\.train is an iterable; rows themselves/],
])('%s of rows in place of files is answered with how rows are written', async (_, train, message) => {
  const config = { base: 'b', data: { train } } as unknown as Parameters<typeof loadConfig>[0];
  await expect(loadConfig(config)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(message) as string,
  });
});
test('paths of a file are relative to it, those of overrides to the working folder', async () => {
  const at = mkdtempSync(path.join(tmpdir(), 'glulam-config-'));
  const here = mkdtempSync(path.join(tmpdir(), 'glulam-config-'));
  const plugin = 'export default () => ({ name: "here", contract: 2, register() {} })';
  writeFileSync(path.join(here, 'plugin.mjs'), plugin);
  const file = path.join(at, 'config.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      base: 'base',
      expansion: { kind: 'mergekit', file: 'map.yaml' },
      data: {
        train: [{ file: 'a.jsonl' }, 'b.jsonl'],
        heldOut: 'held.jsonl',
        chatTemplate: 'chat.jinja',
        cache: 'cache',
      },
      evaluate: {
        evaluators: [
          { kind: 'gsm8k', file: 'gsm8k.jsonl' },
          { kind: 'gsm8k', name: 'other', file: 'other.jsonl' },
        ],
      },
      ablation: {
        variants: [
          { name: 'a', expansion: { kind: 'mergekit', file: 'a.yaml' } },
          { name: 'b', expansion: { kind: 'mergekit', file: 'b.yaml' } },
        ],
      },
      search: { score: { kind: 'truthfulqa', file: 'mc.json' } },
    }),
  );
  /** Every path of the config, in its order. */
  const pathsWith = async (overrides: Record<string, unknown>): Promise<string[]> => {
    const { config, ablation, search } = await loadConfig(file, overrides, here);
    const found: string[] = [];
    JSON.stringify(
      [config.base, config.expansion, config.data, config.evaluate, ablation.variants, search.score],
      (_, value: unknown) => {
        if (typeof value === 'string' && path.isAbsolute(value)) found.push(value);
        return value;
      },
    );
    return found;
  };
  const names = [
    'base',
    'map.yaml',
    'a.jsonl',
    'b.jsonl',
    'held.jsonl',
    'chat.jinja',
    'cache',
    'gsm8k.jsonl',
    'other.jsonl',
    'a.yaml',
    'b.yaml',
    'mc.json',
  ];
  const expected = (given: readonly string[] = []) =>
    names.map((name) => path.join(given.includes(name) ? here : at, name)).sort();
  expect((await pathsWith({})).sort()).toEqual(expected());
  for (const [overrides, given] of [
    [{ base: 'base' }, ['base']],
    [{ base: './base', 'train.steps': 1 }, ['base']],
    [{ 'expansion.file': 'map.yaml' }, ['map.yaml']],
    [{ 'data.train': ['a.jsonl', 'b.jsonl'] }, ['a.jsonl', 'b.jsonl']],
    [{ 'data.train.0.file': 'a.jsonl' }, ['a.jsonl']],
    [{ 'data.heldOut': 'held.jsonl', 'data.chatTemplate': 'chat.jinja' }, ['held.jsonl', 'chat.jinja']],
    [{ 'data.cache': 'cache' }, ['cache']],
    [{ 'evaluate.evaluators.1.file': 'other.jsonl' }, ['other.jsonl']],
    [{ 'ablation.variants.1.expansion.file': 'b.yaml' }, ['b.yaml']],
    [{ 'search.score': { kind: 'truthfulqa', file: 'mc.json' } }, ['mc.json']],
    [{ plugins: ['./plugin.mjs'] }, []],
  ] as const)
    expect((await pathsWith(overrides)).sort(), JSON.stringify(overrides)).toEqual(expected(given));
});
