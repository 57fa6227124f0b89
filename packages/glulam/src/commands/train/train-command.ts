import { existsSync } from 'node:fs';
import path from 'node:path';
import { overridesFrom } from '../../cli/arguments.js';
import { GlulamError } from '../../errors.js';
import { run } from './run.js';
import { configHelp, onePositional, type Command } from '../../cli/command.js';
import { parseRunName } from '../../runs/run-name.js';
import { terminalNotices } from '../../cli/terminal-notices.js';

export const trainCommand: Command = {
  name: 'train',
  summary: 'train an adapter as a config file says',
  help: `glulam train CONFIG [options]
glulam train CONFIG|RUN --resume

CONFIG is a .ts, .js, .json or .yaml file. The run folder (out) gets the resolved config, the events as JSON lines,
checkpoints, and at the end the adapter. Ctrl-C ends the run after the step it is in, with a checkpoint; twice, at once.

  --out FOLDER      the run folder (default: the config's, or runs/latest)
  --resume          go on from the newest whole checkpoint of the run folder; the config must be the one it was begun with
${configHelp}`,
  async run(args, signal) {
    const { resume: flag, ...options } = args.options;
    const resume = flag !== undefined;
    if (flag !== undefined && flag !== true)
      throw new GlulamError('USAGE', `--resume takes no value, got "${flag}"; the run folder is named by --out`);
    const name = onePositional(args, 'train', resume ? 'CONFIG or RUN' : 'CONFIG');
    const step = parseRunName(name);
    if (step !== undefined)
      throw new GlulamError(
        'USAGE',
        `a run resumes from its last checkpoint, not from another step; name the run: glulam train ${step.run} --resume`,
      );
    const runConfig = path.join(name, 'config.json');
    const isRun = existsSync(runConfig);
    if (isRun && !resume)
      throw new GlulamError('USAGE', `${name} is a run folder; go on with it by --resume, or name a config file`);
    const overrides = { ...overridesFrom(options), ...(isRun ? { out: name } : {}) };
    // What the run says, the console reporter prints.
    const { onFault } = terminalNotices();
    await run(isRun ? runConfig : name, { overrides, signal, resume, console: true, onFault });
  },
};
