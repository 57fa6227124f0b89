// Checks how files are laid out and what they import, between the packages and inside them: a lower layer knows nothing of a
// higher one, a plugin knows the core and never another plugin, what is imported is declared, no values are imported in
// circles, what will run in browsers imports no `node:` module, what is exported is used, and no folder is overfull. Run it
// alone with `node tools/check/check-imports.mjs`.
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkCircles } from './imports/circles.mjs';
import { checkDirections } from './imports/directions.mjs';
import { checkFolderSizes } from './imports/folder-sizes.mjs';
import { checkNodeBoundary, stillImportNode } from './imports/node-boundary.mjs';
import { readPackages } from './imports/packages.mjs';
import { checkUnusedExports } from './imports/unused-exports.mjs';

/**
 * Everything in the `src` and `test` folders of `packages/*` and `plugins/*` that breaks a rule.
 *
 * @param {string} root the repository
 * @param {readonly string[]} [mayImportNode] files that import `node:` modules where others may not
 * @returns {import('./imports/packages.mjs').Violation[]}
 */
export function checkImports(root, mayImportNode = []) {
  const packages = readPackages(root);
  if (packages.length === 0) throw new Error(`No package under ${root}/packages or ${root}/plugins: nothing to check.`);
  return [
    ...packages.flatMap((pkg) => [
      ...checkDirections(pkg, packages, root),
      ...checkCircles(pkg),
      ...checkUnusedExports(pkg),
      ...checkFolderSizes(pkg),
    ]),
    ...checkNodeBoundary(packages, mayImportNode),
  ];
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const violations = checkImports(path.join(import.meta.dirname, '../..'), stillImportNode);
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`);
  if (violations.length > 0) process.exitCode = 1;
  else console.log('imports: no violations');
}
