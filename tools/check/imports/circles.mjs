import { importedPath } from './packages.mjs';

/** @typedef {import('./packages.mjs').Package} Package */
/** @typedef {import('./packages.mjs').Module} Module */
/** @typedef {import('./packages.mjs').Violation} Violation */

/**
 * The circles of value imports between a package's files. Circles of types are fine: they are gone when code runs.
 *
 * @param {Package} pkg
 * @returns {Violation[]}
 */
export function checkCircles({ modules }) {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const done = new Set();
  /** @type {{ module: Module, line: number }[]} The files that lead here, each with the line that imports the next. */
  const trail = [];
  /** @type {Violation[]} */
  const violations = [];

  /** @param {Module} module */
  const visit = (module) => {
    const at = trail.findIndex((step) => step.module === module);
    if (at >= 0) {
      const circle = trail.slice(at);
      const files = [...circle.map((step) => step.module.path), module.path].join(' -> ');
      const message = `a circle of value imports: ${files}; pass what is needed as an argument, or give it a file of its own`;
      violations.push({ file: module.file, line: circle[0].line, message });
      return;
    }
    if (done.has(module)) return;
    done.add(module);
    for (const { specifier, line, erased } of module.imports) {
      const next = erased || !specifier.startsWith('.') ? undefined : byPath.get(importedPath(module.path, specifier));
      if (next === undefined) continue;
      trail.push({ module, line });
      visit(next);
      trail.pop();
    }
  };
  modules.forEach(visit);
  return violations;
}
