// A copy of the workspace as it is published: what differs from the repository's files is written there and nowhere else.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const repositoryRoot = path.join(import.meta.dirname, '../..');

const groups = ['packages', 'plugins'];

/** Copies all packages, built as they are. @param {string} to a new folder */
export function stageWorkspace(to) {
  mkdirSync(to, { recursive: true });
  for (const name of ['package.json', 'package-lock.json', 'LICENSE', '.changeset'])
    cpSync(path.join(repositoryRoot, name), path.join(to, name), { recursive: true });
  for (const folder of packageFolders(repositoryRoot)) {
    const own = path.join(repositoryRoot, folder);
    const left = ['node_modules', 'build'].map((name) => path.join(own, name));
    cpSync(own, path.join(to, folder), { recursive: true, filter: (from) => !left.includes(from) });
  }
}

/** @param {string} root @returns {string[]} relative to the root */
export function packageFolders(root) {
  return groups.flatMap((group) => readdirSync(path.join(root, group)).map((name) => path.join(group, name)));
}

/**
 * Versions all packages by the changesets that wait, writes their changelogs, and brings package-lock.json after.
 *
 * @param {string} root the repository, or a copy of it
 * @param {{ offline?: boolean }} [options]
 */
export function applyChangesets(root, { offline = false } = {}) {
  const isCopy = root !== repositoryRoot;
  const modules = path.join(root, 'node_modules');
  if (isCopy) {
    // Changesets asks git which commit brought a changeset, and finds its changelog writer in node_modules.
    run('git', ['init', '--quiet', '.'], root);
    symlinkSync(path.join(repositoryRoot, 'node_modules'), modules);
  }
  run(path.join(repositoryRoot, 'node_modules/.bin/changeset'), ['version'], root);
  if (isCopy) rmSync(modules);
  const lock = ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund'];
  run('npm', [...lock, ...(offline ? ['--offline'] : [])], root);
}

/**
 * Where the sources are: what npm compares a provenance with.
 *
 * @param {string} root a staged copy @param {string} url
 */
export function writeRepository(root, url) {
  for (const folder of packageFolders(root))
    editManifest(path.join(root, folder), (manifest) => ({
      ...manifest,
      repository: { type: 'git', url, directory: folder.split(path.sep).join('/') },
    }));
}

/** Of the repository that a workflow of GitHub runs in. @param {NodeJS.ProcessEnv} env @returns {string | undefined} */
export function repositoryOfWorkflow({ GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name }) {
  return server && name ? `git+${server}/${name}.git` : undefined;
}

/** @param {string} folder @param {(manifest: any) => object} edit */
export function editManifest(folder, edit) {
  const file = path.join(folder, 'package.json');
  writeFileSync(file, `${JSON.stringify(edit(JSON.parse(readFileSync(file, 'utf8'))), null, 2)}\n`);
}

/** @param {string} program @param {string[]} args @param {string} cwd */
function run(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`${path.basename(program)} ${args.join(' ')} failed:\n${error?.message ?? `${stdout}\n${stderr}`}`);
}
