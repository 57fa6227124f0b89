import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadPlugins } from './load-plugins.js';

const folder = mkdtempSync(path.join(tmpdir(), 'glulam-plugins-'));
const config = path.join(folder, 'config.yaml');
const write = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  writeFileSync(path.join(folder, name), text);
};
const plugin = '{ name: "x", contract: 2, register() {} }';
const escaped = folder.replaceAll(/[.\\]/g, '\\$&');

test.each([
  ['a.mjs', `export default () => (${plugin})`],
  ['b.ts', `const contract: number = 2; export default () => ({ name: "x", contract, register() {} })`],
  ['c.cjs', `module.exports = () => (${plugin})`],
])('%s is a plugin', async (name, text) => {
  write(name, text);
  expect(await loadPlugins([`./${name}`], config)).toMatchObject([{ name: 'x', contract: 2 }]);
});

test.each([
  [
    'syntax.mjs',
    'export default () => {\n  return { a: 1\n  b: 2 };\n};',
    `${escaped}/syntax\\.mjs:3:3 has a syntax error: .*\n    b: 2 };\n    \\^$`,
  ],
  ['syntax.ts', 'const x: = 1;', `${escaped}/syntax\\.ts:1:10 has a syntax error: .*\n  const x: = 1;\n {11}\\^$`],
  ['inner.mjs', 'import "./syntax.mjs"; export default () => 1', `${escaped}/syntax\\.mjs:3:3 has a syntax error`],
  [
    'import.mjs',
    'import x from "@nobody/nothing/x"; export default () => x',
    `${escaped}/import\\.mjs imports "@nobody/nothing/x", which cannot be found; install it: npm install @nobody/nothing$`,
  ],
  [
    'relative.mjs',
    'import x from "./gone.mjs"; export default () => x',
    `${escaped}/relative\\.mjs imports "\\./gone\\.mjs", which cannot be found$`,
  ],
  ['throws.mjs', '\nthrow new RangeError("too far")', `RangeError: too far \\(at ${escaped}/throws\\.mjs:2\\)$`],
  ['number.mjs', 'throw 5', 'it threw 5, which is no Error$'],
  [
    'none.mjs',
    'export const a = 1, b = 2',
    'its default export is no function; it exports a, b; expected export default',
  ],
  ['empty.mjs', '', 'its default export is no function; it exports nothing else; expected'],
  [
    'object.mjs',
    `export default ${plugin}`,
    'its default export is the plugin itself, not a function that makes it; expected',
  ],
  ['undefined.mjs', 'export default () => {}', 'its factory returns undefined; expected the object'],
  ['promise.mjs', `export default async () => (${plugin})`, 'its factory returns a promise; expected the object'],
  [
    'factory.mjs',
    'export default () => { throw new Error("no luck") }',
    'its factory failed: Error: no luck \\(at .*factory\\.mjs:1\\)$',
  ],
])('%s says what is wrong', async (name, text, message) => {
  write(name, text);
  await expect(loadPlugins([`./${name}`], config)).rejects.toMatchObject({
    code: 'PLUGIN_UNLOADABLE',
    message: expect.stringMatching(new RegExp(`^the plugin \\./${name} cannot be loaded: ${message}`)) as string,
  });
});

test('all that cannot be loaded are told together, and what a run recorded', async () => {
  const error = await loadPlugins(
    ['./gone.mjs', '@nobody/nothing', '~/glulam-no-such-plugin.mjs'],
    config,
    'run/config.json',
  ).catch((each: unknown) => each);
  expect((error as Error).message.split('\n')).toEqual([
    '3 plugins cannot be loaded:',
    `  ./gone.mjs: there is no file ${path.join(folder, 'gone.mjs')}`,
    '  @nobody/nothing: no package of this name is installed; install it: npm install @nobody/nothing; the name of a file begins with ./',
    `  ${homedir()}/glulam-no-such-plugin.mjs: there is no file ${homedir()}/glulam-no-such-plugin.mjs`,
    `run/config.json names the plugins ./gone.mjs, @nobody/nothing, ~/glulam-no-such-plugin.mjs. Where a plugin is elsewhere now, name it yourself: --plugins '["./gone.mjs","@nobody/nothing","~/glulam-no-such-plugin.mjs"]'`,
  ]);
});

test('what is no list of plugins is refused', async () => {
  await expect(loadPlugins('x', config)).rejects.toThrow(/plugins: expected a list, got "x"/);
});
