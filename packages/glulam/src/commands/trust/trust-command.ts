import { existsSync } from 'node:fs';
import path from 'node:path';
import { GlulamError } from '../../errors.js';
import { asksOf } from '../../config/load-config.js';
import { stdout } from '../../cli/output.js';
import { trustRun } from '../../runs/trusted-runs.js';
import { onePositional, type Command } from '../../cli/command.js';

export const trustCommand: Command = {
  name: 'trust',
  summary: 'agree to the plugins and the places outside of it that a run folder asks for',
  help: `glulam trust RUN

A run folder that somebody else made may name plugins, which run with your rights when the run is opened, and reports, a
cache of tokenized data or links outside of the folder, which are written when the run continues. Every command refuses
that until you agree. This command lists what RUN/config.json and the links in RUN lead to, and remembers your agreement
for that folder in glulam/trusted-runs.json of your configuration ($XDG_CONFIG_HOME or ~/.config). A file of a plugin is
remembered with its content: after a change of it you are asked again. Files that it imports are not compared, nor are
packages, which are remembered by their names. A run that you train yourself needs no agreement.`,
  async run(args) {
    const [option] = Object.keys(args.options);
    if (option !== undefined) throw new GlulamError('USAGE', `glulam trust has no options, got --${option}`);
    const folder = onePositional(args, 'trust', 'RUN');
    const file = path.join(folder, 'config.json');
    if (!existsSync(file))
      throw new GlulamError('RUN_NOT_FOUND', `${folder} is no run folder: it has no config.json; name a run folder`);
    const asks = await asksOf(file);
    const { plugins, writes } = asks;
    if (plugins.length === 0 && writes.length === 0) {
      stdout.write(`${folder} names no plugins and nothing to write outside of it: there is nothing to agree to\n`);
      return;
    }
    await trustRun(folder, asks);
    const load = plugins.map((name) => `  load ${name}\n`);
    const write = writes.map(({ named, to }) => `  write ${to} (${named})\n`);
    stdout.write(`runs in ${path.resolve(folder)} may:\n${[...load, ...write].join('')}`);
  },
};
