import { builtinModules } from 'node:module';
import path from 'node:path';
import { declaredIn } from './packages.mjs';

/** @typedef {import('./packages.mjs').Package} Package */
/** @typedef {import('./packages.mjs').Module} Module */
/** @typedef {import('./packages.mjs').Violation} Violation */

/** The core packages, lowest first: each may import those before it. */
const layers = ['plugin', 'files', 'tensors', 'model', 'export', 'trainer', 'ablation'].map(
  (name) => `@glulam/${name}`,
);
const testing = '@glulam/testing';
const product = 'glulam';

/**
 * The imports of a package that go to where they may not: upward, from plugin to plugin, into another package's files, or to
 * what is not declared.
 *
 * @param {Package} pkg
 * @param {readonly Package[]} packages
 * @param {string} root the repository
 * @returns {Violation[]}
 */
export function checkDirections(pkg, packages, root) {
  const rootDeclared = declaredIn(path.join(root, 'package.json'));
  return pkg.modules.flatMap((module) =>
    module.imports.flatMap(({ specifier, line }) => {
      const message = faultOf(specifier, module);
      return message === undefined ? [] : [{ file: module.file, line, message }];
    }),
  );

  /** @param {string} specifier @param {Module} module */
  function faultOf(specifier, { path: inner, isTest }) {
    if (specifier.startsWith('.')) return relativeFault(specifier, inner, isTest);
    if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return undefined;

    const name = packageName(specifier);
    const target = packages.find((other) => other.name === name);
    if (target !== undefined || name.startsWith('@glulam/')) {
      if (specifier !== name) return `deep import of ${specifier}: import ${name}, and export what is needed there`;
      if (target === undefined) return `${name} is no package of this workspace`;
      const direction = directionFault(pkg, target, isTest);
      if (direction !== undefined || isTest) return direction;
    }
    if (name === 'inversify' && !(pkg.name === '@glulam/plugin' && inner === 'src/scope.ts')) {
      return 'only packages/plugin/src/scope.ts imports inversify: use definePlugin and compose';
    }
    if (pkg.declared.has(name) || (isTest && (pkg.declaredForTests.has(name) || rootDeclared.has(name))))
      return undefined;
    return `${name} is not among the dependencies in ${path.relative(root, pkg.folder)}/package.json`;
  }

  /** @param {string} specifier @param {string} inner @param {boolean} isTest */
  function relativeFault(specifier, inner, isTest) {
    const target = path.resolve(pkg.folder, path.dirname(inner), specifier);
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
