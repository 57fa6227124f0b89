// The workspace's packages as tarballs, as users get them. Packages must be built.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');

/**
 * Packs every package of the workspace into a folder.
 *
 * @typedef {{ name: string, filename: string, files: { path: string }[] }} Packed
 * @param {string} to @returns {Packed[]}
 */
export function packWorkspace(to) {
  const args = ['pack', '--workspaces', '--json', '--ignore-scripts', '--pack-destination', to];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`npm pack failed:\n${stderr}`);
  return JSON.parse(stdout);
}

/**
 * The same, as dependencies of a package.json that has nothing to do with the workspace.
 *
 * @param {string} to @returns {Promise<Record<string, string>>} tarballs by the packages' names
 */
export async function packAll(to) {
  return Object.fromEntries(packWorkspace(to).map(({ name, filename }) => [name, path.join(to, filename)]));
}
