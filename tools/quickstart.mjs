// `npm run quickstart`: trains the small example and asks the trained model a question, on a fresh checkout.
// `npm run quickstart -- RUN --train.steps 10`: into another folder, with other settings of the run.
import { prepare, runProgram } from './prepare.mjs';

const cli = 'packages/glulam/bin/glulam.js';
const [run = 'runs/quickstart', ...options] = process.argv.slice(2);
const question = 'Mia has 3 boxes with 4 pencils each. She gives 5 pencils away. How many pencils are left?';

prepare();
glulam('train', 'examples/quickstart/glulam.config.ts', '--out', run, ...options);
glulam('generate', run, '--question', question, '--max-tokens', '80');
console.log(`\nThe run's folder is ${run}; the adapter, in PEFT's format, is ${run}/adapter.`);

/** @param {string[]} args */
function glulam(...args) {
  const status = runProgram(process.execPath, [cli, ...args]);
  if (status !== 0) process.exit(status);
}
