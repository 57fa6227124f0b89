import { train } from '@glulam/trainer';
import { overridesFrom } from '../arguments.js';
import { loadConfig } from '../load-config.js';
import { configHelp, onePositional, type Command } from './command.js';

export const trainCommand: Command = {
  name: 'train',
  summary: 'train an adapter as a config file says',
  help: `glulam train CONFIG [options]

CONFIG is a .ts, .js, .json or .yaml file. The run folder (out) gets the resolved config, the events as JSON lines and
the adapter in PEFT's format.

  --out FOLDER      the run folder (default: the config's, or runs/latest)
${configHelp}`,
  async run(args, signal) {
    const { config, composition } = await loadConfig(
      onePositional(args, 'train', 'CONFIG'),
      overridesFrom(args.options),
    );
    for (const warning of composition.warnings) process.stderr.write(`${warning}\n`);
    await train(config, composition, { signal });
  },
};
