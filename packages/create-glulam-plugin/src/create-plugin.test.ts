import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createPlugin } from './create-plugin.js';
import { versions } from './manifest.js';
import { roles } from './roles.js';

const scratch = mkdtempSync(path.join(tmpdir(), 'create-glulam-plugin-'));
afterAll(() => rmSync(scratch, { recursive: true }));
let folder: string;
let count = 0;
beforeEach(() => void (folder = path.join(scratch, String((count += 1)))));

const everything = (at: string): string =>
  readdirSync(at, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((each) => each.isFile() && each.name !== 'LICENSE')
    .map((each) => readFileSync(path.join(each.parentPath, each.name), 'utf8'))
    .join('\n');

describe.each(roles)('$name', ({ name: role, core }) => {
  test('becomes a whole package under its name, with nothing left of the template’s', () => {
    const { files, names } = createPlugin({ role, name: 'two-words', folder });
    expect(names).toEqual({ package: `glulam-plugin-${role}-two-words`, kind: 'two_words', pascal: 'TwoWords' });
    expect(files).toEqual(expect.arrayContaining(['LICENSE', '.gitignore', 'src/index.ts', 'src/index.test.ts']));
    for (const file of files) expect(existsSync(path.join(folder, file)), file).toBe(true);
    const text = everything(folder);
    expect(text).not.toMatch(/my_kind|my-kind|mykind/i);
    expect(text).toContain(`export default ${role}TwoWords;`);
    expect(text).toContain('contract: 2,');
    const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Record<string, object>;
    expect(manifest).toMatchObject({ name: names.package, keywords: ['glulam-plugin'] });
    // What the source imports is declared, and core packages as peers alone.
    const imported = [...readFileSync(path.join(folder, 'src/index.ts'), 'utf8').matchAll(/ from '([^.n][^']*)'/g)].map(
      ([, from]) => from!,
    );
    const declared = { ...manifest['peerDependencies'], ...manifest['dependencies'] };
    for (const each of imported) expect(declared).toHaveProperty([each]);
    expect(Object.keys(manifest['peerDependencies']!)).toEqual(
      expect.arrayContaining(['@glulam/plugin', ...core.map((each) => `@glulam/${each}`)]),
    );
    expect(Object.keys(manifest['dependencies'] ?? {}).filter((each) => each.includes('glulam'))).toEqual([]);
  });
});

test('versions that plugins are made with are those of this repository', () => {
  const root = path.resolve(import.meta.dirname, '../../..');
  const wanted = ['package.json', 'packages/trainer/package.json'].map(
    (file) => JSON.parse(readFileSync(path.join(root, file), 'utf8')) as Record<string, Record<string, string>>,
  );
  const known = Object.assign(
    {},
    ...wanted.flatMap((each) => [each['dependencies'], each['devDependencies']]),
  ) as object;
  expect(known).toMatchObject(versions);
});

describe('refuses, and writes nothing:', () => {
  test('a folder that holds something', () => {
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'notes.txt'), 'mine');
    expect(() => createPlugin({ role: 'adapter', name: 'x', folder })).toThrow(/holds notes.txt; expected a folder/);
    expect(readdirSync(folder)).toEqual(['notes.txt']);
    expect(() => createPlugin({ role: 'adapter', name: 'x', folder: path.join(folder, 'notes.txt') })).toThrow(
      /is a file/,
    );
  });

  test.each([
    ['adaptor', 'x', /there is no role "adaptor" \(did you mean "adapter"\?\)/],
    ['xyzxyzxyz', 'x', /there is no role "xyzxyzxyz"; expected one of adapter, family/],
    ['adapter', 'My Kind', /"My Kind" makes no name of an npm package: .*capital letters/],
    ['adapter', '', /gives the kind ""/],
    ['adapter', '../up', /makes no name/],
    ['adapter', '@me/', /makes no name/],
    ['adapter', '4bit', /gives the kind "4bit"; expected words/],
    ['adapter', 'a--b', /gives the kind "a--b"/],
  ])('role %j with name %j', (role, name, message) => {
    expect(() => createPlugin({ role, name, folder })).toThrow(message);
    expect(existsSync(folder)).toBe(false);
  });

  test('a place that cannot be written', () => {
    const file = path.join(scratch, 'file');
    writeFileSync(file, '');
    expect(() => createPlugin({ role: 'format', name: 'x', folder: path.join(file, 'below') })).toThrow(
      /cannot be written/,
    );
  });
});

test('a fresh repository is a folder like an empty one, and stays', () => {
  mkdirSync(path.join(folder, '.git'), { recursive: true });
  createPlugin({ role: 'reporter', name: 'bell', folder });
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(['.git', 'package.json', 'src']));
});

test.each([
  ['@me/glulam-plugin-adapter-ia3', 'ia3'],
  ['@me/ia3', 'ia3'],
  ['@me/glulam-ia3', 'ia3'],
  ['glulam-plugin-adapter-ia3', 'ia3'],
  ['glulam-plugin-ia3-fast', 'ia3_fast'],
])('the package %s keeps its name and has the kind %s', (name, kind) => {
  const { names } = createPlugin({ role: 'adapter', name, folder });
  expect(names).toMatchObject({ package: name, kind });
});
