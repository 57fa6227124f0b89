import { existsSync } from 'node:fs';
import path from 'node:path';
import { describePlan } from '@glulam/trainer';
import { overridesFrom } from '../../cli/arguments.js';
import { openCall } from '../../call.js';
import { planLoaded } from './plan.js';
import { withRecordedPlugins } from '../../runs/with-recorded-plugins.js';
import { configHelp, onePositional, type Command } from '../../cli/command.js';
import { isCheckpointFolder, loadModel } from '../../models/load-model.js';
import { terminalNotices } from '../../cli/terminal-notices.js';
import { stderr, stdout } from '../../cli/output.js';

export const planCommand: Command = {
  name: 'plan',
  summary: 'show what a run will be and take, before anything is loaded',
  help: `glulam plan CONFIG|RUN|ADAPTER|BASE [options]

Draws the virtual layers over the physical ones and says how many parameters are stored, effective and trained, what a
training step takes of memory, part by part, and whether this machine has it. No weights are read: the base's
config.json alone will do. Where the base's tokenizer and the data files are there, the largest batch is the data's own
(tokenized as for training, once), else the largest that the config allows.

BASE is a checkpoint's folder or its name on the Hub.

Exits with 0 whether the run fits or not; glulam train refuses one that does not.

${configHelp}`,
  async run(args, signal) {
    const name = onePositional(args, 'plan', 'CONFIG, RUN, ADAPTER or BASE');
    // A run that has not ended is planned as its config says.
    const config = path.join(name, 'config.json');
    const unfinished = existsSync(config) && !existsSync(path.join(name, 'adapter')) && !isCheckpointFolder(name);
    const call = openCall({ signal, ...terminalNotices() });
    const plan = await (async () => {
      const { loaded, adapterFolder } = await loadModel(unfinished ? config : name, overridesFrom(args.options), call, {
        weights: false,
      });
      return withRecordedPlugins(loaded, () => planLoaded(loaded, call, adapterFolder));
    })().finally(call.end);
    for (const warning of plan.warnings) stderr.write(`${warning}\n`);
    stdout.write(`${describePlan(plan, stdout.columns)}\n`);
  },
};
