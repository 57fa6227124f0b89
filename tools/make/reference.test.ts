import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { folder, referencePages } from './reference.mjs';

test('docs/reference is what the schemas in the code say: npm run reference', () => {
  const pages = referencePages();
  expect(readdirSync(folder).sort()).toEqual(Object.keys(pages).sort());
  for (const [name, text] of Object.entries(pages))
    expect(readFileSync(path.join(folder, name), 'utf8'), `${name} is not current; npm run reference`).toBe(text);
});
