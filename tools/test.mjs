// `npm test`: lint, types and every test of the workspace. `npm run test:fast`: the fast tier of tests alone (slow-tests.mjs).
// Other arguments go on to vitest: `npm test -- test/model/golden.test.ts`.
import { prepare, runTool, startTool } from './prepare.mjs';

const isFast = process.argv.includes('--fast');
const args = process.argv.slice(2).filter((arg) => arg !== '--fast');
prepare();

/** @type {[string, string, string[]][]} */
const checks = [
  // One process for the whole workspace: on a fresh checkout a process a package (`npm run lint`) reads all types anew.
  ['lint', 'eslint', ['.']],
  ['types of the tests', 'tsc', ['-p', 'tsconfig.test.json', '--noEmit']],
  ['types of the scripts', 'tsc', ['-p', 'tools/tsconfig.json', '--noEmit']],
];
if (!isFast) {
  // All checks run before one of them ends the process: a person mends both kinds of fault in one go.
  const statuses = await Promise.all(checks.map(([, tool, options]) => startTool(tool, options)));
  const failed = checks.filter((_, i) => statuses[i] !== 0).map(([name]) => name);
  if (failed.length > 0) {
    console.error(`\nFailed before any test ran: ${failed.join(', ')}. See above.`);
    process.exit(1);
  }
}

process.exitCode = runTool('vitest', [
  ...['run', '--reporter=default', '--reporter=./tools/summary-reporter.mjs', ...(isFast ? ['--project=!slow'] : [])],
  ...args,
]);
