// What a publish would send, looked at as the registry and npm will: the manifests within the tarballs.
import { readFileSync } from 'node:fs';
import { createPackageFromTarballData } from '@arethetypeswrong/core';
import semver from 'semver';
import { glibcOf, minor, newestGlibc, packageOf, platforms } from './platform-packages.mjs';

/** The manifest within a tarball. @param {string} tarball */
export function manifestOf(tarball) {
  const pkg = createPackageFromTarballData(new Uint8Array(readFileSync(tarball)));
  return JSON.parse(pkg.readFile(`/node_modules/${pkg.packageName}/package.json`));
}

/**
 * @param {any[]} manifests of all packages of a release
 * @param {string[][]} fixed groups of packages that have one version
 * @returns {string[]} what is wrong, a line each
 */
export function faultsOfRelease(manifests, fixed) {
  const versions = new Map(manifests.map(({ name, version }) => [name, version]));
  return [
    ...fixed.flatMap((group) => faultsOfGroup(group, versions)),
    ...manifests.flatMap((manifest) =>
      faultsOfManifest(manifest, versions).map((fault) => `${manifest.name}: ${fault}`),
    ),
  ];
}

/** @param {string[]} group @param {Map<string, string>} versions */
function faultsOfGroup(group, versions) {
  const own = group.map((name) => [name, versions.get(name)]);
  if (new Set(own.map(([, version]) => version)).size === 1) return [];
  return [`core packages are to have one version: ${own.map(([name, version]) => `${name} ${version}`).join(', ')}`];
}

/** @param {any} manifest @param {Map<string, string>} versions */
function faultsOfManifest(manifest, versions) {
  const { dependencies, peerDependencies, optionalDependencies, version, license, private: isPrivate } = manifest;
  const faults = [];
  if (isPrivate) faults.push('is private: npm refuses it');
  if (!license) faults.push('has no license');
  if (semver.valid(version) === null || version === '0.0.0') faults.push(`has the version ${version}`);
  for (const [name, range] of Object.entries({ ...dependencies, ...peerDependencies, ...optionalDependencies })) {
    const released = versions.get(name);
    if (released !== undefined && !semver.satisfies(released, range))
      faults.push(`wants ${name} ${range}, which is released as ${released}`);
    else if (released === undefined && /^(@glulam\/|glulam$)/.test(name))
      faults.push(`wants ${name}, which is not released`);
    if (semver.validRange(range) === null) faults.push(`wants ${name} ${range}: not a version that a registry has`);
  }
  return faults;
}

/**
 * A major version is meant, never what a changed peer came to.
 *
 * @param {Map<string, string>} before versions by name @param {any[]} manifests @param {Set<string>} meant packages whose changesets say major
 */
export function unmeantMajors(before, manifests, meant) {
  return manifests
    .filter(({ name, version }) => before.has(name) && semver.major(version) > semver.major(before.get(name)))
    .filter(({ name }) => !meant.has(name))
    .map(({ name, version }) => `${name}: ${before.get(name)} becomes ${version}, and no changeset says major`);
}

/** @param {Record<string, string>} binaries files by platform @returns {string[]} */
export function faultsOfBinaries(binaries) {
  return Object.entries(binaries).flatMap(([platform, file]) => {
    const glibc = glibcOf(file);
    if (platforms[platform].libc !== 'glibc') return [];
    if (glibc === undefined) return [`${packageOf(platform)}: the binary asks for no glibc; is it one for Linux?`];
    if (minor(glibc) <= minor(newestGlibc)) return [];
    return [`${packageOf(platform)}: needs glibc ${glibc}; releases are built for ${newestGlibc}, on an older Linux`];
  });
}

/** Provenance says which repository a package comes from; npm refuses one whose manifest does not. @param {any[]} manifests */
export function faultsOfProvenance(manifests) {
  const without = manifests.filter(({ repository }) => !repository?.url);
  if (without.length === 0) return [];
  return [
    `${without.length} packages have no "repository", and npm wants it for provenance: the release workflow writes it from GITHUB_SERVER_URL and GITHUB_REPOSITORY`,
  ];
}
