import path from 'node:path';
import { writeFileAtomic } from '@glulam/files';
import { compose } from '@glulam/plugin';
import { GlulamError } from '../../errors.js';
import { configSchema } from '../../kinds/config-schema.js';
import { loadAllPlugins } from '../../config/load-config.js';
import { stdout } from '../../cli/output.js';
import { preset } from '../../config/preset.js';
import type { Command } from '../../cli/command.js';

export const schemaCommand: Command = {
  name: 'schema',
  summary: 'write the JSON Schema of configs, from which editors complete',
  help: `glulam schema [--config CONFIG] [--out FILE]

The schema of JSON and YAML configs with the options of every kind, those of CONFIG's plugins included. Editors that know
JSON Schema check and complete a config that names it: "$schema": "./glulam.schema.json" as the first key, in YAML the line
# yaml-language-server: $schema=./glulam.schema.json

  --config CONFIG   a config file whose plugins are counted in; nothing else in it is looked at
  --out FILE        where to write (default: standard output)`,
  async run({ positional, options }) {
    const { config, out, ...others } = options;
    const [unknown] = [...positional, ...Object.keys(others).map((name) => `--${name}`)];
    if (unknown !== undefined) throw new GlulamError('USAGE', `glulam schema takes --config and --out, got ${unknown}`);
    if (config === true || out === true)
      throw new GlulamError('USAGE', `--${config === true ? 'config' : 'out'} is without a value; name a file`);
    const composition = compose(config === undefined ? preset() : await loadAllPlugins(config));
    const text = `${JSON.stringify(configSchema(composition), undefined, 2)}\n`;
    if (out === undefined) stdout.writeJson(text);
    else await writeFileAtomic(path.resolve(out), text);
  },
};
