// `npm test`: lint, types and every test of the workspace. Arguments go on to vitest: `npm test -- test/golden`.
import { prepare, runTool } from './prepare.mjs';

prepare();

/** @type {[string, string, string[]][]} */
const checks = [
  ['types of the tests', 'tsc', ['-p', 'tsconfig.test.json', '--noEmit']],
  ['types of the scripts', 'tsc', ['-p', 'tools/tsconfig.json', '--noEmit']],
  // One process for the whole workspace: on a fresh checkout a process a package (`npm run lint`) reads all types anew.
  ['lint', 'eslint', ['.']],
];
// All checks run before one of them ends the process: a person mends both kinds of fault in one go.
const failed = checks.filter(([, tool, args]) => runTool(tool, args, { quiet: true }) !== 0).map(([name]) => name);
if (failed.length > 0) {
  console.error(`\nFailed before any test ran: ${failed.join(', ')}. See above.`);
  process.exit(1);
}

process.exitCode = runTool('vitest', [
  ...['run', '--reporter=default', '--reporter=./tools/summary-reporter.mjs'],
  ...process.argv.slice(2),
]);
