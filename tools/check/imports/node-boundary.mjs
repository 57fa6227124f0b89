import { builtinModules } from 'node:module';
import { importedPath } from './packages.mjs';

/** @typedef {import('./packages.mjs').Package} Package */
/** @typedef {import('./packages.mjs').Violation} Violation */

/** What will run in browsers too: no file in these folders imports a `node:` module, except in a `node` folder. */
const folders = ['packages/tensors/src', 'packages/model/src', 'packages/trainer/src/step'];

/** Files in these folders that still import `node:` modules. Contract 2 empties this list. */
export const stillImportNode = ['packages/model/src/text/time-limit.ts'];

/**
 * @param {readonly Package[]} packages
 * @param {readonly string[]} listed files that may import `node:` modules as long as they do
 * @returns {Violation[]}
 */
export function checkNodeBoundary(packages, listed) {
  /** @type {Violation[]} */
  const violations = [];
  const found = new Set();
  for (const { path, file, isTest, imports } of packages.flatMap(({ modules }) => modules)) {
    const folder = folders.find((each) => file.startsWith(`${each}/`));
    if (folder === undefined || isTest || isInNode(path)) continue;
    for (const { specifier, line } of imports) {
      const isNode = specifier.startsWith('.')
        ? isInNode(importedPath(path, specifier))
        : specifier.startsWith('node:') || builtinModules.includes(specifier);
      if (!isNode) continue;
      found.add(file);
      if (listed.includes(file)) continue;
      const message = `${specifier} is imported, but ${folder} imports node: modules in node/ folders only: take what is needed as an argument, or move this to @glulam/files`;
      violations.push({ file, line, message });
    }
  }
  for (const file of listed.filter((each) => !found.has(each))) {
    const message =
      'it imports no node: module any more: remove it from the list in tools/check/imports/node-boundary.mjs';
    violations.push({ file, line: 1, message });
  }
  return violations;
}

/** @param {string} path */
const isInNode = (path) => path.includes('/node/');
