// Packed packages, installed as a user installs them: in a folder that has nothing to do with this workspace.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');

/**
 * All in one install; third parties' packages in the versions of this repository's lock.
 *
 * @param {string} home a new folder
 * @param {Record<string, string>} dependencies tarballs as `file:PLACE`, and ranges of other packages, by name
 */
export function installPacked(home, dependencies) {
  mkdirSync(home, { recursive: true });
  const manifest = { name: 'home', version: '1.0.0', private: true, type: 'module', dependencies };
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const strangers = Object.entries(lock.packages).filter(([key, { link }]) => key.startsWith('node_modules/') && !link);
  const packages = { '': manifest, ...Object.fromEntries(strangers) };
  writeFileSync(path.join(home, 'package.json'), JSON.stringify(manifest, null, 2));
  writeFileSync(path.join(home, 'package-lock.json'), JSON.stringify({ ...lock, name: 'home', packages }, null, 2));
  const args = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: home, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${stdout}\n${stderr}`);
}
