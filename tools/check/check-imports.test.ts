import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkImports } from './check-imports.mjs';

it('finds no violation in this repository', () => {
  const violations = checkImports(path.join(import.meta.dirname, '../..'));
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
    add('packages/plugin/src/compose.ts', `import 'inversify';\nimport { readFileSync } from 'node:fs';`);
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
    [
      'inversify in a plugin',
      'plugins/adapter-b/src/a.ts',
      `import 'inversify';`,
      'only packages/plugin/src/compose.ts',
    ],
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

  it('refuses to pass an empty tree', () => {
    rmSync(path.join(root, 'packages'), { recursive: true });
    rmSync(path.join(root, 'plugins'), { recursive: true });
    expect(() => checkImports(root)).toThrow('nothing to check');
  });
});
