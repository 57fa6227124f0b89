import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { expandHome, readTextFile, writeFileAtomic } from '@glulam/tensors';
import { z } from 'zod';
import { GlulamError } from './errors.js';

// Run folders are passed on, as checkpoints and adapters are, and their config.json names plugins: code. So that no
// command runs a stranger's code, the user agrees once to the plugins of a folder, as in editors. Whoever trains with
// plugins of a config of their own has agreed to them for that run's folder.

const trustSchema = z.record(z.string(), z.array(z.string()));

/** `trusted-runs.json` in the user's configuration: by folder the plugins that its runs may load. */
const trustFile = (): string =>
  path.join(expandHome(process.env['XDG_CONFIG_HOME'] ?? '~/.config'), 'glulam', 'trusted-runs.json');

/** Remember that the runs in a folder, and below it, may load these plugins. */
export async function trustPlugins(folder: string, plugins: readonly string[]): Promise<void> {
  const known = readTrust();
  const place = realPlace(folder);
  const all = [...new Set([...(known[place] ?? []), ...plugins])].sort();
  if (all.length === known[place]?.length) return;
  const file = trustFile();
  await writeFileAtomic(file, `${JSON.stringify({ ...known, [place]: all }, null, 2)}\n`);
}

/**
 * Remember the plugins of a run that the user trains. Where nothing can be written to the user's configuration the run
 * trains all the same, and later commands ask for an agreement: what is to be said of it is returned.
 */
export async function trustOwnRun({
  out,
  plugins,
}: {
  readonly out: string;
  readonly plugins?: readonly string[] | undefined;
}): Promise<string | undefined> {
  if (plugins === undefined) return undefined;
  try {
    await trustPlugins(out, plugins);
    return undefined;
  } catch (error) {
    return `${trustFile()} cannot be written (${(error as Error).message}): later commands will ask before they load the plugins of ${out}`;
  }
}

/** @throws GlulamError PLUGINS_UNTRUSTED with everything that would have run */
export function checkTrusted(folder: string, plugins: readonly string[]): void {
  const place = realPlace(folder);
  const trusted = Object.entries(readTrust())
    .filter(([known]) => place === known || place.startsWith(known + path.sep))
    .flatMap(([, names]) => names);
  const others = plugins.filter((name) => !trusted.includes(name));
  if (others.length === 0) return;
  throw new GlulamError(
    'PLUGINS_UNTRUSTED',
    `${path.join(folder, 'config.json')} names plugins, which are code, and you have not agreed to run them:\n` +
      `${others.map((name) => `  ${name}`).join('\n')}\n` +
      `If you trust who made this folder, run glulam trust ${folder} once. Or name the plugins to load yourself: ` +
      `--plugins '${JSON.stringify(others)}', or --plugins '[]' for none.`,
  );
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

/** A folder that is not there yet has no real path: that of the nearest one above it, and the rest. */
function realPlace(folder: string): string {
  const absolute = path.resolve(folder);
  return existsSync(absolute)
    ? realpathSync(absolute)
    : path.join(realPlace(path.dirname(absolute)), path.basename(absolute));
}
