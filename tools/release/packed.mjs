// The workspace's packages as tarballs, as users get them. Packages must be built.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');

/**
 * Packs every package of the workspace, or of a copy of it, into a folder.
 *
 * @typedef {{ name: string, version: string, filename: string, size: number, files: { path: string }[] }} Packed
 * @param {string} to @param {string} [workspace] @returns {Packed[]}
 */
export function packWorkspace(to, workspace = root) {
  const args = ['pack', '--workspaces', '--json', '--ignore-scripts', '--pack-destination', to];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: workspace, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`npm pack failed:\n${stderr}`);
  return JSON.parse(stdout);
}

/** @param {string} folder @param {Packed[]} packed @returns {Record<string, string>} */
export function tarballsByName(folder, packed) {
  return Object.fromEntries(packed.map(({ name, filename }) => [name, path.join(folder, filename)]));
}
