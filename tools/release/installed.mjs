// Packed packages, installed as a user installs them: in a folder that has nothing to do with this workspace.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { packWorkspace, tarballsByName } from './packed.mjs';

const root = path.join(import.meta.dirname, '../..');

/** What plugins are built and tested with, in the versions of this repository. */
const pluginTools = ['typescript', 'vitest', '@types/node'];

/**
 * All packages, and what plugins are built and tested with, in one install; third parties' packages in the versions of this
 * repository's lock. It takes most of the time of a check of packed packages, so all of them use one.
 *
 * @param {string} home a new folder
 * @param {Record<string, string>} tarballs by the packages' names
 */
export function installPacked(home, tarballs) {
  mkdirSync(home, { recursive: true });
  const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const dependencies = {
    ...Object.fromEntries(Object.entries(tarballs).map(([name, file]) => [name, `file:${file}`])),
    ...Object.fromEntries(pluginTools.map((name) => [name, devDependencies[name]])),
  };
  const manifest = { name: 'home', version: '1.0.0', private: true, type: 'module', dependencies };
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const strangers = Object.entries(lock.packages).filter(([key, { link }]) => key.startsWith('node_modules/') && !link);
  const packages = { '': manifest, ...Object.fromEntries(strangers) };
  writeFileSync(path.join(home, 'package.json'), JSON.stringify(manifest, null, 2));
  writeFileSync(path.join(home, 'package-lock.json'), JSON.stringify({ ...lock, name: 'home', packages }, null, 2));
  npmInstall(home);
}

/**
 * Packs the workspace and installs it for one check alone, in a folder that is removed when `use` ends. Packages must be built.
 *
 * @template T @param {(home: string) => T | Promise<T>} use @returns {Promise<T>}
 */
export async function inInstalledWorkspace(use) {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'glulam-installed-')));
  try {
    const home = path.join(folder, 'home');
    installPacked(home, tarballsByName(folder, packWorkspace(folder)));
    return await use(home);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} folder @param {string[]} more packages that its package.json does not name */
export function npmInstall(folder, more = []) {
  const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  const args = ['install', ...options, ...(more.length > 0 ? ['--no-save', ...more] : [])];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${stdout}\n${stderr}`);
}

/**
 * The reason where an install failed because this machine has neither a registry in reach nor all packages in npm's cache:
 * npm says so by a code of the network, or finds packages of no version.
 *
 * @param {unknown} error @returns {string | undefined}
 */
export function whyNotInstalled(error) {
  const without = /npm error code (ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT)|Found: \S+@undefined/;
  if (!(error instanceof Error) || !without.test(error.message)) return undefined;
  return 'no package registry can be reached, and npm has not all packages in its cache';
}
