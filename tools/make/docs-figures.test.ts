import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { figures, folder } from './docs-figures.mjs';

test('docs/figures is what strategies and plans say: npm run docs:figures', async () => {
  const made = await figures();
  expect(readdirSync(folder).sort()).toEqual(Object.keys(made).sort());
  for (const [name, text] of Object.entries(made))
    expect(readFileSync(path.join(folder, name), 'utf8'), `${name} is not current; npm run docs:figures`).toBe(text);
});
