import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { undocumented } from './doc-comments.mjs';

const packages = ['plugin', 'files', 'tensors', 'model', 'export', 'trainer', 'ablation', 'testing'];

test.each(packages)('every exported member of packages/%s has a doc comment', (name) => {
  expect(undocumented(`packages/${name}`)).toEqual([]);
});

test('every exported member of glulam has one, and what it exports of other packages', () => {
  expect(undocumented('packages/glulam', { reexported: true })).toEqual([]);
});

test('what has none is found, also among members', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-doc-comments-'));
  mkdirSync(path.join(folder, 'dist'));
  writeFileSync(
    path.join(folder, 'dist/index.d.ts'),
    `/** Said. */
export interface Said {
  /** Said. */
  readonly a: number;
  readonly b: number;
  c(): void;
}
export declare function unsaid(): void;
/** Said. */
export declare class Thing { #private; private hidden; shown: number }
/** Said. */
export type Options = { readonly option: number };
export {};
`,
  );
  const name = path.relative(path.resolve(import.meta.dirname, '../..'), folder);
  expect(undocumented(name).sort()).toEqual(['Options.option', 'Said.b', 'Said.c', 'Thing.shown', 'unsaid']);
});
