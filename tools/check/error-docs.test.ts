import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const docs = readFileSync(path.join(root, 'docs/errors.md'), 'utf8');

/** Package name to the codes that its chapter explains. */
const explained = new Map(
  docs
    .split(/^## /m)
    .slice(1)
    .map((chapter) => [
      chapter.slice(0, chapter.indexOf('\n')).trim(),
      [...chapter.matchAll(/^\| `([A-Z_]+)` \| (.+) \|$/gm)].map(([, code, meaning]) => ({ code, meaning })),
    ]),
);

const sources = ['packages', 'plugins'].flatMap((group) =>
  readdirSync(path.join(root, group))
    .map((name) => `${group}/${name}/src/errors.ts`)
    .filter((file) => existsSync(path.join(root, file))),
);

test.each(sources)('every code of %s has its entry in docs/errors.md, and no other', (source) => {
  const text = readFileSync(path.join(root, source), 'utf8');
  const union = /export type \w+ErrorCode =([^;]+);/.exec(text)?.[1] ?? '';
  const codes = [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(0);
  const { name } = JSON.parse(readFileSync(path.join(root, path.dirname(source), '../package.json'), 'utf8')) as {
    name: string;
  };
  const rows = explained.get(name) ?? [];
  expect(rows.map(({ code }) => code).sort()).toEqual([...codes].sort());
  for (const { code, meaning } of rows) expect(meaning!.length, code).toBeGreaterThan(20);
});
