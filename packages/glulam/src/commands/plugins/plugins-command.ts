import path from 'node:path';
import { GlulamError } from '../../errors.js';
import { composeWhatFits, installedPlugins } from '../../kinds/installed-plugins.js';
import { kindLines, pluginLines, selectKinds } from './plugin-lines.js';
import { stderr, stdout } from '../../cli/output.js';
import { loadAllPlugins } from '../../config/load-config.js';
import { preset } from '../../config/preset.js';
import type { Command } from '../../cli/command.js';

export const pluginsCommand: Command = {
  name: 'plugins',
  summary: 'show the plugins, their kinds, and the options of each',
  help: `glulam plugins [NAME] [--config CONFIG] [--json]

The built-in plugins and those of a config: versions, where they are, what kinds they bring to which role, and options with
their defaults. NAME is a kind, a role or a plugin: then types and descriptions are shown too. A plugin that cannot be used
is told on stderr with the reason, the others are shown, and the exit code is 1.

  --config CONFIG   a config file whose plugins are counted in; nothing else in it is looked at
  --json            everything, as JSON`,
  async run({ positional, options }) {
    const { config, json, ...others } = options;
    const [name, ...more] = positional;
    const [unknown] = [...more, ...Object.keys(others).map((each) => `--${each}`)];
    if (unknown !== undefined)
      throw new GlulamError('USAGE', `glulam plugins takes one NAME, --config and --json, got ${unknown} as well`);
    if (config === true) throw new GlulamError('USAGE', '--config is without a value; name a config file');
    const file = path.resolve(config ?? 'config');
    const { composition, faults } = composeWhatFits(config === undefined ? preset() : await loadAllPlugins(file));
    for (const warning of composition.warnings) stderr.write(`${warning}\n`);
    const plugins = installedPlugins(composition, file);
    const chosen = name === undefined ? plugins : selectKinds(plugins, name);
    const lines =
      json !== undefined
        ? [JSON.stringify(chosen, undefined, 2)]
        : (name === undefined ? pluginLines : kindLines)(chosen);
    (json !== undefined ? stdout.writeJson : stdout.write)(`${lines.join('\n')}\n`);
    if (faults.length === 0) return;
    throw new GlulamError(
      'PLUGIN_UNUSABLE',
      `not shown, as they cannot be used:\n${faults.map(({ plugin, message }) => `  [${plugin}] ${message}`).join('\n')}`,
    );
  },
};
