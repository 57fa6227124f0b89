import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DecoderShape } from '@glulam/model';
import { describeModel } from '@glulam/trainer';
import { expect, test } from 'vitest';
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
  ['long.yaml', `a: >-${'('.repeat(50_000)}`, /long\.yaml cannot be read: it is not YAML .{1,4000}…$/],
  ['cut.json', '{"base": ', /cut\.json cannot be read: /],
  ['list.json', '[]', /list\.json gives no config object/],
])('%s is refused by name', async (name, text, message) => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  await expect(loadConfig(file)).rejects.toMatchObject({
    code: 'CONFIG_UNREADABLE',
    message: expect.stringMatching(message) as string,
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
  const { config, composition } = await loadConfig(file);
  const shape = { physicalLayers: 1 } as DecoderShape;
  expect(() => describeModel(config, composition, shape)).toThrow(/^adapter\.kind is "\({3000}.{0,1000}…$/);
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
