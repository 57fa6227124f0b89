import { existsSync } from 'node:fs';
import path from 'node:path';
import { GlulamError } from '../errors.js';
import { pluginNamesOf } from '../load-config.js';
import { stdout } from '../output.js';
import { trustPlugins } from '../trusted-runs.js';
import { onePositional, type Command } from './command.js';

export const trustCommand: Command = {
  name: 'trust',
  summary: "agree to run the plugins that a run folder's config.json names",
  help: `glulam trust RUN

A run folder that somebody else made may name plugins, which run with your rights when the run is opened. Every command
refuses that until you agree. This command lists the plugins that RUN/config.json names and remembers your agreement for
that folder and these plugins, in glulam/trusted-runs.json of your configuration ($XDG_CONFIG_HOME or ~/.config). A
run that you train yourself needs no agreement.`,
  async run(args) {
    const folder = onePositional(args, 'trust', 'RUN');
    const [option] = Object.keys(args.options);
    if (option !== undefined) throw new GlulamError('USAGE', `glulam trust has no options, got --${option}`);
    const file = path.join(folder, 'config.json');
    if (!existsSync(file))
      throw new GlulamError('RUN_NOT_FOUND', `${folder} is no run folder: it has no config.json; name a run folder`);
    const plugins = await pluginNamesOf(file);
    if (plugins.length === 0) {
      stdout.write(`${file} names no plugins: there is nothing to agree to\n`);
      return;
    }
    await trustPlugins(folder, plugins);
    const lines = plugins.map((name) => `  ${name}\n`).join('');
    stdout.write(`runs in ${path.resolve(folder)} may load:\n${lines}`);
  },
};
