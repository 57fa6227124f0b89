// `npm run check:kills [-- KILLS]`: the test of killed and resumed runs with 200 kills instead of a few.
import { parseArgs } from 'node:util';
import { prepare, runTool } from '../prepare.mjs';

const [kills = '200'] = parseArgs({ allowPositionals: true }).positionals;
prepare();
process.env.GLULAM_KILLS = kills;
process.exitCode = runTool('vitest', ['run', 'test/runs/resume.test.ts', '-t', 'kills']);
