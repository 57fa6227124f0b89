import { readFileSync } from 'node:fs';
import path from 'node:path';
import { followConfig, parameterCount } from '@glulam/model';
import { expect, test } from 'vitest';
import { families, root } from '../support/expanded.js';

// Facts of published configs: see the README beside them.
const published = JSON.parse(readFileSync(path.join(root, 'fixtures/published/configs.json'), 'utf8')) as Record<
  string,
  { readonly parameters: number; readonly config: Readonly<Record<string, unknown>> & { readonly model_type: string } }
>;
const checkpoints = Object.entries(published);

test.each(checkpoints)('%s has the published number of parameters', (file, { parameters, config }) => {
  const family = families.find(({ kind }) => kind === config.model_type)!;
  const { spec, warnings } = followConfig(family, { file, modelType: family.kind, fields: config });
  expect(parameterCount(spec)).toBe(parameters);
  expect(warnings).toEqual([]);
});

test('docs/compatibility.md lists them', () => {
  const page = readFileSync(path.join(root, 'docs/compatibility.md'), 'utf8');
  expect(checkpoints.length).toBeGreaterThanOrEqual(40);
  for (const [name, { parameters, config }] of checkpoints)
    expect(page).toContain(`| ${name} | \`${config.model_type}\` | ${parameters.toLocaleString('en-US')} |`);
});
