import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { expandHome, readRegularFile, readTextFile, writeFileAtomic } from '@glulam/files';
import { z } from 'zod';
import { isPluginFile, pluginFile } from '../config/load-plugins.js';
import { GlulamError } from '../errors.js';
import type { LoadedConfig } from '../config/load-config.js';
import { isInside, linksOutside, realPlace, writesOutside, type OutsideWrite } from './writes-outside.js';

// Run folders are passed on, as checkpoints and adapters are, and their config.json names plugins, which are code, and
// places to write to. So that no command runs a stranger's code or writes where a stranger says, the user agrees once to
// what a folder asks for, as in editors. Whoever trains with a config of their own has agreed for that run's folder.

const trustSchema = z.record(z.string(), z.array(z.string()));

/**
 * `trusted-runs.json` in the user's configuration: by folder what its runs may do. That is `NAME` of a plugin, `FILE
 * sha256:HASH` of a plugin's file with this content, and `writes PATH`.
 */
const trustFile = (): string =>
  path.join(expandHome(process.env['XDG_CONFIG_HOME'] ?? '~/.config'), 'glulam', 'trusted-runs.json');

/** What a run folder asks for. */
export interface RunAsks {
  /** Plugins that its config.json names. */
  readonly plugins: readonly string[];
  /** Places outside of it that it leads to. */
  readonly writes: readonly OutsideWrite[];
}

/** Remember that the runs in a folder, and below it, may do this: load plugin files as they are now, and write there. */
export async function trustRun(folder: string, { plugins, writes }: RunAsks): Promise<void> {
  await remember(folder, [...plugins.map((name) => withContent(name, folder)), ...writes.map(writeOf)]);
}

/**
 * Remember what a run that the user trains asks for. Where nothing can be written to the user's configuration the run
 * trains all the same, and later commands ask for an agreement: what is to be said of it is returned.
 */
export async function trustOwnRun({ config, recorded }: LoadedConfig): Promise<string | undefined> {
  const { out, plugins = [] } = config;
  try {
    const known = agreedFor(out);
    // The plugins of a config of the user's own may change; those that another folder brought are agreed to as they are.
    const own =
      recorded === undefined
        ? plugins
        : plugins.filter((name) => !isAgreed(known, name, out)).map((name) => withContent(name, out));
    await remember(out, [...own, ...writesOutside(config, { folder: out }).map(writeOf)]);
    return undefined;
  } catch (error) {
    return `${trustFile()} cannot be written (${(error as Error).message}): later commands will ask before they load the plugins of ${out} or write outside of it`;
  }
}

/** @throws GlulamError PLUGINS_UNTRUSTED with everything that would have run */
export function checkTrusted(folder: string, plugins: readonly string[]): void {
  const known = agreedFor(folder);
  const others = plugins.filter((name) => !isAgreed(known, name, folder));
  if (others.length === 0) return;
  const lines = others.map((name) => {
    const isChanged = known.some((each) => each.startsWith(`${name} sha256:`));
    return `  ${name}${isChanged ? ' (changed since you agreed)' : ''}`;
  });
  throw new GlulamError(
    'PLUGINS_UNTRUSTED',
    `${path.join(folder, 'config.json')} names plugins, which are code, and you have not agreed to run them:\n` +
      `${lines.join('\n')}\n` +
      `If you trust who made this folder, run glulam trust ${folder} once. Or name the plugins to load yourself: ` +
      `--plugins '${JSON.stringify(others)}', or --plugins '[]' for none.`,
  );
}

type WrittenRun = Pick<LoadedConfig, 'config' | 'recorded'>;

/**
 * Refuse to write where a run folder leads, before anything is written.
 *
 * @param only the keys that matter to a command; default: all
 * @throws GlulamError WRITES_UNTRUSTED with every such place
 */
export function checkWrites({ config, recorded }: WrittenRun, only?: readonly string[]): void {
  if (recorded === undefined) return;
  const folder = path.dirname(recorded.file);
  // Links in another folder, which the user names for a new run, are the user's own.
  const links = only === undefined && realPlace(config.out) === realPlace(folder) ? linksOutside(folder) : [];
  const asked = recorded.writes.filter(({ named }) => only?.includes(named) !== false);
  const known = agreedFor(folder);
  const others = [...asked, ...links].filter((write) => !known.includes(writeOf(write)));
  if (others.length === 0) return;
  const isOut = others.some(({ named }) => named === 'out');
  throw new GlulamError(
    'WRITES_UNTRUSTED',
    `${folder} leads to places outside of it, which would be written, and you have not agreed to that:\n` +
      `${others.map(({ named, to }) => `  ${named}: ${to}`).join('\n')}\n` +
      (isOut ? 'Name the run folder yourself with --out. ' : '') +
      `If you trust who made this folder, run glulam trust ${folder} once. Or give other values, such as ` +
      `--data.cache FOLDER or --reporters '[]'; links have to be removed.`,
  );
}

const writeOf = ({ to }: OutsideWrite): string => `writes ${to}`;

const isAgreed = (known: readonly string[], name: string, folder: string): boolean =>
  known.includes(name) || (isPluginFile(name) && known.includes(withContent(name, folder)));

/** A package stands for itself, a file for its content. One that is not there cannot be loaded either. */
function withContent(name: string, folder: string): string {
  const file = isPluginFile(name) ? pluginFile(name, folder) : undefined;
  if (file === undefined) return name;
  try {
    return `${name} sha256:${createHash('sha256').update(readRegularFile(file, mostPluginBytes)).digest('hex')}`;
  } catch (cause) {
    throw new GlulamError('PLUGIN_UNLOADABLE', `the plugin ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

const mostPluginBytes = 100_000_000;

function agreedFor(folder: string): string[] {
  const place = realPlace(folder);
  return Object.entries(readTrust()).flatMap(([known, all]) => (isInside(place, known) ? all : []));
}

async function remember(folder: string, agreed: readonly string[]): Promise<void> {
  const known = readTrust();
  const place = realPlace(folder);
  const all = [...new Set([...(known[place] ?? []), ...agreed])].sort();
  if (all.length === (known[place]?.length ?? 0)) return;
  await writeFileAtomic(trustFile(), `${JSON.stringify({ ...known, [place]: all }, null, 2)}\n`);
}

function readTrust(): z.infer<typeof trustSchema> {
  const file = trustFile();
  if (!existsSync(file)) return {};
  try {
    return trustSchema.parse(JSON.parse(readTextFile(file)));
  } catch (cause) {
    throw new GlulamError(
      'CONFIG_UNREADABLE',
      `${file}, which lists the run folders you trust, cannot be read (${(cause as Error).message}); mend or remove it`,
      { cause },
    );
  }
}
