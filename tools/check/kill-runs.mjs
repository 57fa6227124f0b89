// `npm run check:kills [-- KILLS]`: kills `glulam train` at every point at which it changes anything on the disk, or at as
// many of them as KILLS says, and resumes it; beside the named moments at which `npm test` does so.
import { parseArgs } from 'node:util';
import { prepare, runTool } from '../prepare.mjs';

const [kills = 'all'] = parseArgs({ allowPositionals: true }).positionals;
prepare();
process.env.GLULAM_KILLS = kills;
process.exitCode = runTool('vitest', ['run', 'test/runs/resume.test.ts', '-t', 'at points of all kinds']);
