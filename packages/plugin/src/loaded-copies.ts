import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Package names to the folders that they were loaded from; on `globalThis`, where two copies of this file meet too. */
const key = Symbol.for('glulam.loadedCopies');
const shared = globalThis as { [key]?: Map<string, Set<string>> };

/** A core package says that it is loaded: `noteLoaded('@glulam/model', import.meta.url)` in its index. */
export function noteLoaded(packageName: string, indexUrl: string): void {
  const folders = (shared[key] ??= new Map<string, Set<string>>());
  const folder = new URL('..', indexUrl).href; // above src or dist
  folders.set(packageName, (folders.get(packageName) ?? new Set()).add(folder));
}

/** A line for each core package that is loaded more than once, with versions and folders. */
export function copyWarnings(): string[] {
  return [...(shared[key] ?? [])].flatMap(([name, folders]) =>
    folders.size < 2
      ? []
      : [
          `${name} is loaded ${folders.size} times: ${[...folders].map(describe).join(' and ')}; it works as long as they are alike. ` +
            `Plugins take core packages as peerDependencies; npm ls ${name} shows which brings its own`,
        ],
  );
}

/** The version of a core package that is loaded, the first where there are several. */
export function loadedVersion(packageName: string): string {
  const [folder] = shared[key]?.get(packageName) ?? [];
  return folder === undefined ? 'unknown' : versionIn(folder);
}

const describe = (folder: string): string => `${versionIn(folder)} in ${fileURLToPath(folder)}`;

function versionIn(folder: string): string {
  const manifest = new URL('package.json', folder);
  if (!existsSync(manifest)) return 'unknown'; // bundled into something else
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
