import path from 'node:path';

/** @typedef {import('./packages.mjs').Package} Package */
/** @typedef {import('./packages.mjs').Violation} Violation */

/** Source files that a folder may hold, tests not counted: more are not read at a glance. */
const most = 15;

/** The folders of a package's `src` that hold too many files. @param {Package} pkg @returns {Violation[]} */
export function checkFolderSizes({ modules }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { file, isTest } of modules) {
    const folder = path.posix.dirname(file);
    if (!isTest) counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > most)
    .map(([file, count]) => {
      return { file, line: 1, message: `${count} source files in one folder, at most ${most}: divide them by subject` };
    });
}
