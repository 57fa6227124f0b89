import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { importedPath } from './packages.mjs';
import { readModule } from './read-module.mjs';

/** @typedef {import('./packages.mjs').Package} Package */
/** @typedef {import('./packages.mjs').Violation} Violation */

/**
 * Names that a file of `src` exports and no other file of the package imports, tests included. What `src/index.ts` exports is
 * for others.
 *
 * @param {Package} pkg
 * @returns {Violation[]}
 */
export function checkUnusedExports({ folder, modules }) {
  /** @type {Map<string, Set<string>>} */
  const used = new Map();
  for (const { path: from, imports } of [...modules, ...commands(folder)]) {
    for (const { specifier, names } of imports) {
      if (!specifier.startsWith('.')) continue;
      const to = importedPath(from, specifier).replace(/^dist\//, 'src/');
      const known = used.get(to) ?? new Set();
      used.set(to, known);
      for (const name of names === 'all' ? ['*'] : names) known.add(name);
    }
  }
  return modules
    .filter((module) => !module.isTest && module.path !== 'src/index.ts')
    .flatMap(({ path: own, file, exports }) => {
      const names = used.get(own) ?? new Set();
      return exports
        .filter(({ name }) => !names.has('*') && !names.has(name))
        .map(({ name, line }) => ({ file, line, message: `no other file imports ${name}: do not export it` }));
    });
}

/** A package's commands, which import what was built. @param {string} folder */
function commands(folder) {
  const bin = path.join(folder, 'bin');
  if (!existsSync(bin)) return [];
  return readdirSync(bin).map((name) => ({ path: `bin/${name}`, ...readModule(path.join(bin, name)) }));
}
