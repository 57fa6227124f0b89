import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readModule } from './read-module.mjs';

/**
 * @typedef {object} Module a TypeScript file of a package
 * @property {string} path relative to the package, with `/`
 * @property {string} file relative to the checked root, with `/`
 * @property {boolean} isTest
 * @property {import('./read-module.mjs').Import[]} imports
 * @property {import('./read-module.mjs').Export[]} exports
 */

/**
 * @typedef {object} Package
 * @property {string} name
 * @property {string} folder absolute
 * @property {boolean} isPlugin
 * @property {Set<string>} declared
 * @property {Set<string>} declaredForTests
 * @property {Module[]} modules of `src` and `test`
 */

/** @typedef {{ file: string, line: number, message: string }} Violation `file` is relative to the checked root. */

/** The packages and plugins of a repository. @param {string} root @returns {Package[]} */
export function readPackages(root) {
  return ['packages', 'plugins'].flatMap((group) => {
    const folder = path.join(root, group);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .map((name) => path.join(folder, name))
      .filter((pkg) => existsSync(path.join(pkg, 'package.json')))
      .map((pkg) => readPackage(root, pkg, group === 'plugins'));
  });
}

/** @param {string} root @param {string} folder @param {boolean} isPlugin @returns {Package} */
function readPackage(root, folder, isPlugin) {
  const manifest = path.join(folder, 'package.json');
  const { name } = JSON.parse(readFileSync(manifest, 'utf8'));
  const modules = ['src', 'test'].flatMap((part) =>
    typescriptFiles(path.join(folder, part)).map((file) => {
      const inner = slashed(path.relative(folder, file));
      const isTest = inner.endsWith('.test.ts') || inner.startsWith('test/');
      return { path: inner, file: slashed(path.relative(root, file)), isTest, ...readModule(file) };
    }),
  );
  const declared = declaredIn(manifest, false);
  return { name, folder, isPlugin, declared, declaredForTests: declaredIn(manifest), modules };
}

/** What a package.json declares; development dependencies count only where `dev` says so. @param {string} manifest */
export function declaredIn(manifest, dev = true) {
  if (!existsSync(manifest)) return new Set();
  const content = JSON.parse(readFileSync(manifest, 'utf8'));
  const fields = ['dependencies', 'peerDependencies', 'optionalDependencies', ...(dev ? ['devDependencies'] : [])];
  return new Set(fields.flatMap((field) => Object.keys(content[field] ?? {})));
}

/** @param {string} file */
const slashed = (file) => file.split(path.sep).join('/');

/** @param {string} folder @returns {string[]} */
function typescriptFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => path.join(folder, name));
}

/**
 * Where a relative import leads: a path in the package, as `Module.path`.
 *
 * @param {string} from the path of the importing file
 * @param {string} specifier
 */
export function importedPath(from, specifier) {
  return path.posix.join(path.posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}
