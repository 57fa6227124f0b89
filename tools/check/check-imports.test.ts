import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkImports } from './check-imports.mjs';
import { stillImportNode } from './imports/node-boundary.mjs';

it('finds no violation in this repository', () => {
  const violations = checkImports(path.join(import.meta.dirname, '../..'), stillImportNode);
  expect(violations.map(({ file, line, message }) => `${file}:${line}: ${message}`)).toEqual([]);
});

describe('in a planted tree', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'check-imports-'));
    addPackage('packages/plugin', '@glulam/plugin', ['inversify']);
    addPackage('packages/tensors', '@glulam/tensors', ['@glulam/plugin', '@glulam/model']);
    addPackage('packages/model', '@glulam/model', ['@glulam/plugin', '@glulam/tensors']);
    addPackage('packages/testing', '@glulam/testing', ['@glulam/model', 'vitest']);
    addPackage('packages/glulam', 'glulam', ['@glulam/model', '@glulam/adapter-a']);
    addPackage('plugins/adapter-a', '@glulam/adapter-a', ['@glulam/model', '@glulam/adapter-b', '@glulam/testing']);
    addPackage('plugins/adapter-b', '@glulam/adapter-b', ['@glulam/model', 'inversify']);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function addPackage(folder: string, name: string, dependencies: string[]): void {
    const declared = Object.fromEntries(dependencies.map((dependency) => [dependency, '*']));
    add(`${folder}/package.json`, JSON.stringify({ name, dependencies: declared }));
  }

  function add(file: string, text: string): void {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }

  it('accepts what the layers allow', () => {
    add('packages/plugin/src/scope.ts', `import 'inversify';\nimport { readFileSync } from 'node:fs';`);
    add('packages/model/src/a.ts', `import type { T } from '@glulam/tensors';\nimport './b.js';`);
    add('packages/testing/src/a.ts', `import { it } from 'vitest';\nexport * from '@glulam/model';`);
    add('packages/glulam/src/a.ts', `import { a } from '@glulam/adapter-a';`);
    add('plugins/adapter-a/src/a.test.ts', `import '@glulam/testing';\nimport '@glulam/tensors';`);
    expect(checkImports(root)).toEqual([]);
  });

  it.each([
    ['upward', 'packages/tensors/src/a.ts', `import type { M } from '@glulam/model';`, 'point downward'],
    ['upward, dynamic', 'packages/tensors/src/a.ts', `await import('@glulam/model');`, 'point downward'],
    ['to the product', 'plugins/adapter-a/src/a.ts', `import 'glulam';`, 'sources import only'],
    ['plugin to plugin', 'plugins/adapter-a/src/a.ts', `export * from '@glulam/adapter-b';`, 'never another plugin'],
    ['plugin to plugin in a test', 'plugins/adapter-a/src/a.test.ts', `import '@glulam/adapter-b';`, 'never another'],
    ['testing outside tests', 'plugins/adapter-a/src/a.ts', `import '@glulam/testing';`, 'sources import only'],
    ['inversify in a plugin', 'plugins/adapter-b/src/a.ts', `import 'inversify';`, 'only packages/plugin/src/scope.ts'],
    ['inversify elsewhere in plugin', 'packages/plugin/src/token.ts', `import 'inversify';`, 'only packages/plugin'],
    ['deep', 'packages/model/src/a.ts', `import '@glulam/tensors/src/dtype.js';`, 'deep import'],
    ['deep by path', 'packages/model/src/a.ts', `import '../../tensors/src/dtype.js';`, 'reaches into @glulam/tensors'],
    ['out of the package', 'packages/model/src/a.ts', `import '../../../test/helper.js';`, 'leaves the package'],
    ['undeclared', 'packages/model/src/a.ts', `import { z } from 'zod';`, 'zod is not among the dependencies'],
    ['undeclared core', 'packages/glulam/src/a.ts', `import '@glulam/tensors';`, '@glulam/tensors is not among'],
    ['of itself', 'packages/model/src/a.ts', `import '@glulam/model';`, 'imports itself'],
  ])('reports an import %s', (_what, file, statement, message) => {
    add(file, `// a first line\n${statement}\n`);
    expect(checkImports(root)).toEqual([{ file, line: 2, message: expect.stringContaining(message) }]);
  });

  it('lets tests alone import what is declared for development', () => {
    add('packages/model/package.json', '{"name":"@glulam/model","devDependencies":{"zod":"*"}}');
    add('packages/model/src/a.test.ts', `import { z } from 'zod';`);
    expect(checkImports(root)).toEqual([]);
    add('packages/model/src/a.ts', `import { z } from 'zod';`);
    expect(checkImports(root).map(({ file }) => file)).toEqual(['packages/model/src/a.ts']);
  });

  describe('circles', () => {
    const messages = (): string[] => checkImports(root).map(({ message }) => message.replace(/;.*/, ''));

    it('reports a circle of value imports with its files in order, at the import that begins it', () => {
      add('packages/model/src/a.ts', `// first\nimport './b.js';`);
      add('packages/model/src/b.ts', `import { c } from './inner/c.js';\nc();`);
      add('packages/model/src/inner/c.ts', `export const c = () => import('../a.js');`);
      const circle = 'src/a.ts -> src/b.ts -> src/inner/c.ts -> src/a.ts';
      expect(checkImports(root)).toEqual([
        { file: 'packages/model/src/a.ts', line: 2, message: expect.stringContaining(circle) },
      ]);
    });

    it('reports each of several circles, re-exports among them', () => {
      add('packages/model/src/a.ts', `export * from './b.js';\nimport './c.js';`);
      add('packages/model/src/b.ts', `import './a.js';`);
      add('packages/model/src/c.ts', `import './b.js';\nimport './a.js';`);
      add('plugins/adapter-a/src/a.ts', `import './a.js';`);
      expect(messages()).toEqual([
        'a circle of value imports: src/a.ts -> src/b.ts -> src/a.ts',
        'a circle of value imports: src/a.ts -> src/c.ts -> src/a.ts',
        'a circle of value imports: src/a.ts -> src/a.ts',
      ]);
    });

    it('reports a circle through `import { type T }`, of which an import is left', () => {
      add('packages/model/src/a.ts', `import './b.js';\nexport type T = 1;`);
      add('packages/model/src/b.ts', `import { type T } from './a.js';`);
      expect(messages()).toEqual(['a circle of value imports: src/a.ts -> src/b.ts -> src/a.ts']);
    });

    it('accepts circles of types, and files that are imported twice', () => {
      add('packages/model/src/a.ts', `import './b.js';\nimport './c.js';\nexport type T = 1;`);
      add('packages/model/src/b.ts', `import './c.js';\nimport type { T } from './a.js';\nlet x: T;`);
      add('packages/model/src/c.ts', `export type * from './a.js';\nlet x: import('./a.js').T;`);
      expect(checkImports(root)).toEqual([]);
    });
  });

  describe('the node: boundary', () => {
    const reads = `// first\nimport { readFileSync } from 'node:fs';`;

    it.each([
      ['in tensors', 'packages/tensors/src/inner/a.ts', reads],
      ['in model', 'packages/model/src/a.ts', reads],
      ['by its old name', 'packages/model/src/a.ts', `// first\nimport path from 'path';`],
      ['of types', 'packages/model/src/a.ts', `// first\nimport type { Stats } from 'node:fs';`],
      ['by way of a node folder', 'packages/model/src/a.ts', `// first\nimport './node/read.js';`],
      ['in the step', 'packages/trainer/src/step/a.ts', reads],
    ])('reports an import %s', (_what, file, text) => {
      addPackage('packages/trainer', '@glulam/trainer', []);
      add('packages/model/src/node/read.ts', reads);
      add(file, text);
      expect(checkImports(root)).toEqual([
        { file, line: 2, message: expect.stringContaining('in node/ folders only') },
      ]);
    });

    it('accepts it in node folders, in tests, outside the boundary, and in listed files', () => {
      addPackage('packages/trainer', '@glulam/trainer', []);
      add('packages/model/src/node/a.ts', `${reads}\nimport './b.js';`);
      add('packages/model/src/node/b.ts', reads);
      add('packages/model/src/a.test.ts', `${reads}\nimport './node/a.js';`);
      add('packages/trainer/src/run/a.ts', reads);
      add('packages/model/src/a.ts', reads);
      expect(checkImports(root, ['packages/model/src/a.ts'])).toEqual([]);
    });

    it('reports a listed file that has no such import any more, or is gone', () => {
      add('packages/model/src/a.ts', '');
      const listed = ['packages/model/src/a.ts', 'packages/model/src/gone.ts'];
      expect(checkImports(root, listed)).toEqual(
        listed.map((file) => ({ file, line: 1, message: expect.stringContaining('remove it from the list') })),
      );
    });
  });

  describe('exports', () => {
    it('reports each name that no other file imports', () => {
      const names = ['a', 'b', 'c', 'D', 'E', 'f', 'g'];
      add(
        'packages/model/src/a.ts',
        `export const a = 1, { b, x: [c] } = y;\nexport class D {}\nexport type E = 1;\nconst f = 1;\nexport { f };\nexport { z as g } from './z.js';`,
      );
      add('packages/model/src/z.ts', 'export const z = 1;');
      add('packages/model/src/b.ts', `import { other } from './a.js';\nimport { a } from './c.js';`);
      const reported = checkImports(root).map(({ line, message }) => `${line}: ${message}`);
      const lines = [1, 1, 1, 2, 3, 5, 6];
      expect(reported).toEqual(names.map((name, i) => `${lines[i]}: no other file imports ${name}: do not export it`));
    });

    it('accepts what the index, a test, a command or a whole import takes', () => {
      add('packages/model/src/index.ts', `export { a as b } from './a.js';\nexport const own = 1;`);
      add('packages/model/src/a.ts', `export const a = 1;\nexport function t() {}`);
      add('packages/model/src/a.test.ts', `import { t as s } from './a.js';`);
      add('packages/model/src/b.ts', `import * as all from './c.js';\nvoid import('./d.js');`);
      add('packages/model/src/c.ts', 'export const a = 1;');
      add('packages/model/src/d.ts', 'export const a = 1;');
      add('packages/model/src/cli.ts', 'export const main = 1;');
      add('packages/model/bin/model.js', `#!/usr/bin/env node\nimport { main } from '../dist/cli.js';`);
      expect(checkImports(root)).toEqual([]);
    });
  });

  it('reports a folder of more than 15 source files, tests not counted', () => {
    for (let i = 0; i < 15; i++) {
      add(`packages/model/src/inner/${i}.ts`, '');
      add(`packages/model/src/inner/${i}.test.ts`, '');
    }
    add('packages/model/src/inner/deeper/a.ts', '');
    expect(checkImports(root)).toEqual([]);
    add('packages/model/src/inner/15.ts', '');
    expect(checkImports(root)).toEqual([
      { file: 'packages/model/src/inner', line: 1, message: expect.stringContaining('16 source files') },
    ]);
  });

  it('refuses to pass an empty tree', () => {
    rmSync(path.join(root, 'packages'), { recursive: true });
    rmSync(path.join(root, 'plugins'), { recursive: true });
    expect(() => checkImports(root)).toThrow('nothing to check');
  });
});
