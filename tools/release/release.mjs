// Releases, step by step; docs/release.md has the whole.
//   dry                                 all of a release but the publish, on a copy, with what this machine can build
//   version                             versions and changelogs by the changesets that wait (npm run release:version)
//   unpublished                         `publish=true` where a package's version is not on the registry yet
//   pack --binaries FOLDER --to FOLDER  tarballs of all packages, with every platform's binary
//   publish FOLDER                      those of them that are not on the registry yet, with provenance
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { packWorkspace } from './packed.mjs';
import * as check from './check-release.mjs';
import { allBinaries, ownBinary, writePlatformPackages } from './platform-packages.mjs';
import {
  applyChangesets,
  packageFolders,
  repositoryOfWorkflow,
  repositoryRoot,
  stageWorkspace,
  writeRepository,
} from './stage.mjs';

/**
 * @typedef {object} Release
 * @property {import('./packed.mjs').Packed[]} packed
 * @property {any[]} manifests of the tarballs
 * @property {Map<string, string>} before versions by name, as they are now
 * @property {string[]} faults
 */

/**
 * What the next release would be: packages versioned by the changesets that wait, checked and packed. Only copies change.
 *
 * @param {string} to a folder for the tarballs @param {{ repository?: string }} [options]
 * @returns {Release & { notes: string[] }} notes: what a publish would miss, and the workflow has
 */
export function dryRun(to, { repository } = {}) {
  const binaries = ownBinary(repositoryRoot);
  return staged((copy) => {
    const major = packagesWithMajor(path.join(copy, '.changeset'));
    const before = new Map(manifestsOf(copy).map(({ name, version }) => [name, version]));
    applyChangesets(copy, { offline: true });
    const { packed, manifests, faults } = pack(copy, to, { binaries, repository });
    return {
      ...{ packed, manifests, before },
      faults: [...faults, ...check.unmeantMajors(before, manifests, major), ...faultsOfLock(copy)],
      notes: [...check.faultsOfBinaries(binaries), ...check.faultsOfProvenance(manifests)],
    };
  });
}

/** @template T @param {(copy: string) => T} use @returns {T} */
function staged(use) {
  const copy = realpathSync(mkdtempSync(path.join(tmpdir(), 'glulam-release-')));
  try {
    stageWorkspace(copy);
    return use(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** @param {string} copy @param {string} to @param {{ binaries: Record<string, string>, repository?: string }} options */
function pack(copy, to, { binaries, repository }) {
  if (repository !== undefined) writeRepository(copy, repository);
  writePlatformPackages(copy, binaries);
  mkdirSync(to, { recursive: true });
  const packed = packWorkspace(to, copy);
  const manifests = packed.map(({ filename }) => check.manifestOf(path.join(to, filename)));
  const { fixed } = readJson(path.join(copy, '.changeset/config.json'));
  return { packed, manifests, faults: check.faultsOfRelease(manifests, fixed) };
}

/** @param {string} root */
const manifestsOf = (root) => packageFolders(root).map((folder) => readJson(path.join(root, folder, 'package.json')));

/** @param {string} changesets @returns {Set<string>} */
function packagesWithMajor(changesets) {
  const texts = readdirSync(changesets).filter((name) => name.endsWith('.md'));
  const heads = texts.map((name) => readFileSync(path.join(changesets, name), 'utf8').split(/^---$/m)[1] ?? '');
  return new Set([...heads.join('\n').matchAll(/^["']?(.+?)["']?: *major$/gm)].map(([, name]) => name));
}

/** `npm ci` refuses a lock file that names other versions. @param {string} root */
function faultsOfLock(root) {
  const { packages } = readJson(path.join(root, 'package-lock.json'));
  return packageFolders(root).flatMap((folder) => {
    const { name, version } = readJson(path.join(root, folder, 'package.json'));
    const locked = packages[folder.split(path.sep).join('/')]?.version;
    return locked === version ? [] : [`${name}: package-lock.json has it as ${locked}, it is ${version}`];
  });
}

/** @param {string} file */
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** @param {{ name: string, version: string }} manifest */
function isPublished({ name, version }) {
  const { status, stdout, stderr } = spawnSync('npm', ['view', `${name}@${version}`, 'version'], { encoding: 'utf8' });
  if (status === 0) return stdout.trim() !== '';
  if (/\bE404\b/.test(stderr)) return false;
  throw new Error(`npm view ${name}@${version} failed:\n${stderr}`);
}

/** Binaries and libraries first, so that what people install finds all that it needs. @param {{ name: string }} manifest */
const rank = ({ name }) => (name.startsWith('@glulam/engine-native-') ? 0 : name.startsWith('@') ? 1 : 2);

/** @param {string[]} faults */
function report(faults) {
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}

const commands = {
  dry() {
    const to = mkdtempSync(path.join(tmpdir(), 'glulam-tarballs-'));
    try {
      const repository = repositoryOfWorkflow(process.env);
      const { packed, before, faults, notes } = dryRun(to, { repository });
      for (const { name, version, size } of packed) {
        const change = before.has(name)
          ? before.get(name) === version
            ? 'stays'
            : `from ${before.get(name)}`
          : 'made';
        console.log(`${name.padEnd(32)}${version.padEnd(8)} ${change.padEnd(12)} ${(size / 1024).toFixed(0)} KB`);
      }
      for (const note of notes) console.log(`for a publish: ${note}`);
      report(faults);
      if (faults.length === 0) console.log(`${packed.length} packages: versions and dependencies agree`);
    } finally {
      rmSync(to, { recursive: true });
    }
  },
  version: () => applyChangesets(repositoryRoot),
  unpublished() {
    const waits = manifestsOf(repositoryRoot).some((manifest) => !isPublished(manifest));
    console.log(`publish=${waits}`);
  },
  pack(values) {
    if (values.binaries === undefined || values.to === undefined)
      throw new Error('release.mjs pack wants --binaries FOLDER and --to FOLDER');
    const to = path.resolve(values.to);
    const binaries = allBinaries(path.resolve(values.binaries));
    const repository = repositoryOfWorkflow(process.env);
    const { packed, manifests, faults } = staged((copy) => pack(copy, to, { binaries, repository }));
    report([...faults, ...check.faultsOfBinaries(binaries), ...check.faultsOfProvenance(manifests)]);
    console.log(`${packed.length} packages in ${to}`);
  },
  publish(_, folder) {
    if (folder === undefined) throw new Error('release.mjs publish wants the folder of the tarballs');
    const tarballs = readdirSync(folder)
      .map((name) => path.resolve(folder, name))
      .filter((file) => file.endsWith('.tgz'));
    const all = tarballs.map((tarball) => ({ tarball, ...check.manifestOf(tarball) }));
    for (const { tarball, name, version } of all.sort((a, b) => rank(a) - rank(b))) {
      if (isPublished({ name, version })) continue;
      const { status } = spawnSync('npm', ['publish', tarball, '--provenance', '--access', 'public'], {
        stdio: 'inherit',
      });
      if (status !== 0) throw new Error(`npm did not publish ${name} ${version}; started again, this goes on with it`);
    }
  },
};

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { binaries: { type: 'string' }, to: { type: 'string' } },
  });
  const [name, ...rest] = positionals;
  const command = commands[name];
  if (command === undefined) throw new Error(`release.mjs wants one of ${Object.keys(commands).join(', ')}`);
  command(values, ...rest);
}
