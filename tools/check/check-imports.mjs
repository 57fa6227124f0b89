// Checks the direction of imports between the packages: a lower layer knows nothing of a higher one, a plugin knows the
// core and never another plugin, and what is imported is declared. Run it alone with `node tools/check/check-imports.mjs`.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** The core packages, lowest first: each may import those before it. */
const layers = ['plugin', 'files', 'tensors', 'model', 'export', 'trainer', 'ablation'].map(
  (name) => `@glulam/${name}`,
);
const testing = '@glulam/testing';
const product = 'glulam';

/**
 * @typedef {{ name: string, folder: string, isPlugin: boolean, declared: Set<string>, declaredForTests: Set<string> }} Package
 * @typedef {{ file: string, line: number, message: string }} Violation `file` is relative to the checked root.
 */

/**
 * Every import in the `src` and `test` folders of `packages/*` and `plugins/*` that breaks a rule.
 *
 * @param {string} root the repository
 * @returns {Violation[]}
 */
export function checkImports(root) {
  const packages = ['packages', 'plugins'].flatMap((group) => readPackages(root, group));
  if (packages.length === 0) throw new Error(`No package under ${root}/packages or ${root}/plugins: nothing to check.`);
  const rootDeclared = declaredIn(path.join(root, 'package.json'));
  return packages.flatMap((pkg) =>
    ['src', 'test']
      .flatMap((part) => typescriptFiles(path.join(pkg.folder, part)))
      .flatMap((file) => checkFile(file, pkg)),
  );

  /** @param {string} file @param {Package} pkg */
  function checkFile(file, pkg) {
    const text = readFileSync(file, 'utf8');
    return ts.preProcessFile(text, true, true).importedFiles.flatMap(({ fileName, pos }) => {
      const message = faultOf(fileName, file, pkg);
      if (message === undefined) return [];
      return [{ file: path.relative(root, file), line: text.slice(0, pos).split('\n').length, message }];
    });
  }

  /** @param {string} specifier @param {string} file @param {Package} pkg */
  function faultOf(specifier, file, pkg) {
    const inner = path.relative(pkg.folder, file).split(path.sep).join('/');
    const isTest = inner.endsWith('.test.ts') || inner.startsWith('test/');
    if (specifier.startsWith('.')) return relativeFault(specifier, file, pkg, isTest);
    if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return undefined;

    const name = packageName(specifier);
    const target = packages.find((other) => other.name === name);
    if (target !== undefined || name.startsWith('@glulam/')) {
      if (specifier !== name) return `deep import of ${specifier}: import ${name}, and export what is needed there`;
      if (target === undefined) return `${name} is no package of this workspace`;
      const direction = directionFault(pkg, target, isTest);
      if (direction !== undefined || isTest) return direction;
    }
    if (name === 'inversify' && !(pkg.name === '@glulam/plugin' && inner === 'src/compose.ts')) {
      return 'only packages/plugin/src/compose.ts imports inversify: use definePlugin and compose';
    }
    if (pkg.declared.has(name) || (isTest && (pkg.declaredForTests.has(name) || rootDeclared.has(name))))
      return undefined;
    return `${name} is not among the dependencies in ${path.relative(root, pkg.folder)}/package.json`;
  }

  /** @param {string} specifier @param {string} file @param {Package} pkg @param {boolean} isTest */
  function relativeFault(specifier, file, pkg, isTest) {
    const target = path.resolve(path.dirname(file), specifier);
    if (isInside(target, pkg.folder)) return undefined;
    const owner = packages.find((other) => isInside(target, other.folder));
    if (owner !== undefined) return `${specifier} reaches into ${owner.name}: import it by its name`;
    return isTest ? undefined : `${specifier} leaves the package, so it would be missing once published`;
  }
}

/** @param {Package} from @param {Package} to @param {boolean} isTest */
function directionFault(from, to, isTest) {
  if (from.name === to.name) {
    return isTest ? undefined : `${from.name} imports itself by name: use a relative import`;
  }
  const toCore = layers.includes(to.name);
  if (isTest && (toCore || to.name === testing)) return undefined;
  if (from.isPlugin) {
    if (toCore) return undefined;
    if (to.isPlugin) return `a plugin imports core packages and never another plugin (${from.name} -> ${to.name})`;
    return `a plugin's sources import only ${layers.join(', ')} (${from.name} -> ${to.name})`;
  }
  if (from.name === testing && toCore) return undefined;
  if (from.name === product && (toCore || to.isPlugin)) return undefined;
  const rank = layers.indexOf(from.name);
  if (rank >= 0 && toCore && layers.indexOf(to.name) < rank) return undefined;
  return `imports point downward only: glulam -> ablation -> trainer -> export -> model -> tensors -> files -> plugin (${from.name} -> ${to.name})`;
}

/** @param {string} root @param {string} group @returns {Package[]} */
function readPackages(root, group) {
  const folder = path.join(root, group);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => path.join(folder, name))
    .filter((pkg) => existsSync(path.join(pkg, 'package.json')))
    .map((pkg) => {
      const manifest = path.join(pkg, 'package.json');
      const { name } = JSON.parse(readFileSync(manifest, 'utf8'));
      const declared = declaredIn(manifest, false);
      return { name, folder: pkg, isPlugin: group === 'plugins', declared, declaredForTests: declaredIn(manifest) };
    });
}

/** What a package.json declares; development dependencies count only where `dev` says so. @param {string} manifest */
function declaredIn(manifest, dev = true) {
  if (!existsSync(manifest)) return new Set();
  const content = JSON.parse(readFileSync(manifest, 'utf8'));
  const fields = ['dependencies', 'peerDependencies', 'optionalDependencies', ...(dev ? ['devDependencies'] : [])];
  return new Set(fields.flatMap((field) => Object.keys(content[field] ?? {})));
}

/** @param {string} folder @returns {string[]} */
function typescriptFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => path.join(folder, name));
}

/** @param {string} specifier */
function packageName(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** @param {string} target @param {string} folder */
function isInside(target, folder) {
  return target === folder || target.startsWith(folder + path.sep);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const violations = checkImports(path.join(import.meta.dirname, '../..'));
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`);
  if (violations.length > 0) process.exitCode = 1;
  else console.log('imports: all point the right way');
}
