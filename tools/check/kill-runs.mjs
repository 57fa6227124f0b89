// `npm run check:kills [-- KILLS]`: the test of killed and resumed runs with 200 kills instead of a few.
import { prepare, runTool } from '../prepare.mjs';

prepare();
process.env.GLULAM_KILLS = process.argv[2] ?? '200';
process.exitCode = runTool('vitest', ['run', 'test/runs/resume.test.ts', '-t', 'kills']);
