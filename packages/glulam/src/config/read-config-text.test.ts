import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkConfigFile } from './read-config-text.js';

/** What is said of a folder with these files, and of a file in it that is not there. */
function hints(...names: string[]): { readonly folder: string; readonly missing: string } {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'glulam-hints-')), 'x');
  mkdirSync(folder);
  for (const name of names) writeFileSync(path.join(folder, name), '{}');
  const said = (file: string): string => {
    try {
      checkConfigFile(file);
      return '';
    } catch (error) {
      return (error as Error).message.replaceAll(`${folder}/`, '');
    }
  };
  return { folder: said(folder), missing: said(path.join(folder, 'evul.mjs')) };
}

test('configs of a folder are offered', () => {
  expect(hints('glulam.config.ts', 'other.yaml', 'notes.txt').folder).toMatch(
    /did you mean glulam\.config\.ts or other\.yaml\?$/,
  );
  expect(hints('evil.mjs').missing).toMatch(/did you mean evil\.mjs\?$/);
});

test.each([
  ['a run', ['config.json', 'events.jsonl', 'best.json']],
  ['a run as it is passed on', ['config.json']],
])('code beside the files of %s is not offered', (_, files) => {
  const { folder, missing } = hints('evil.mjs', 'evil.ts', 'glulam.config.ts', 'train.js', ...files);
  expect(folder).toMatch(/did you mean config\.json\?$/);
  expect(missing).toMatch(/^there is no config file evul\.mjs; expected/);
});

test('a base and an adapter have no configs', () => {
  const files = [
    'config.json',
    'tokenizer.json',
    'model.safetensors',
    'model.safetensors.index.json',
    'generation_config.json',
  ];
  expect(hints('evil.mjs', ...files).folder).toMatch(/it holds a base checkpoint: write a config with base: "/);
  expect(hints('evil.mjs', 'adapter_config.json').folder).toMatch(
    /not a config file; expected a \.ts, \.js, \.json or \.yaml file$/,
  );
});

test.each([
  'best.json',
  'state.json',
  'events.json',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.base.json',
  'jsconfig.json',
  'vitest.config.ts',
  'eslint.config.js',
  'train.test.ts',
  'types.d.ts',
  'pnpm-lock.yaml',
  'glulam.schema.json',
])('%s is never offered', (name) => {
  expect(hints(name).folder).toMatch(/not a config file; expected a \.ts, \.js, \.json or \.yaml file$/);
});
