import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { cacheFolder } from '@glulam/files';
import { compose } from '@glulam/plugin';
import { engines, type EngineProbe } from '@glulam/tensors';
import { availableMemory, describeMemory } from '@glulam/trainer';
import { GlulamError } from '../../errors.js';
import { stdout } from '../../cli/output.js';
import { preset } from '../../config/preset.js';
import type { Command } from '../../cli/command.js';

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'show what this machine has and which engines load: what a bug report needs',
  help: `glulam doctor

Tries every engine and backend, and says on what it runs or why it does not load and how to mend that. Then versions,
threads, memory and the cache folder. Nothing is sent anywhere.`,
  async run(args, signal) {
    const [unknown] = [...args.positional, ...Object.keys(args.options).map((name) => `--${name}`)];
    if (unknown !== undefined) throw new GlulamError('USAGE', `glulam doctor takes no arguments, got ${unknown}`);
    const probes: EngineProbe[] = [];
    for (const { kind, probe } of compose(preset()).all(engines)) {
      probes.push(...((await probe?.()) ?? [{ name: kind, loads: true, details: 'not probed' }]));
      signal.throwIfAborted();
    }
    stdout.write(`${[...machine(), '', 'engines', ...probes.map(probeLine)].join('\n')}\n`);
  },
};

function machine(): string[] {
  const cache = cacheFolder();
  const processor = cpus()[0]?.model.trim() ?? process.arch;
  return [
    row('glulam', versionOf('../../../package.json')),
    row('node', `${process.versions.node}, ${process.platform} ${process.arch}`),
    row('processor', `${processor}, ${availableParallelism()} threads for this process`),
    row('memory', describeMemory(availableMemory())),
    row('cache', `${cache}${existsSync(cache) ? '' : ' (not made yet)'}`),
    ...Object.entries(pluginVersions()).map(([name, version]) => row(name, version)),
  ];
}

/** Of the packages that this one depends on, where they differ from its own. */
function pluginVersions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const own = manifest(new URL('../../../package.json', import.meta.url));
  const names = Object.keys(own.dependencies ?? {}).filter((name) => name.startsWith('@glulam/'));
  const others = names
    .map((name) => [name, manifest(new URL('../package.json', `file://${require.resolve(name)}`)).version] as const)
    .filter(([, version]) => version !== own.version);
  return Object.fromEntries(others);
}

const manifest = (file: URL) =>
  JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string; readonly dependencies?: object };

const versionOf = (file: string): string => manifest(new URL(file, import.meta.url)).version;

const row = (name: string, text: string): string => `${name.padEnd(16)} ${text}`;
const probeLine = ({ name, loads, details }: EngineProbe): string =>
  `  ${loads ? '+' : '-'} ${name.padEnd(14)} ${details}`;
