// One package for each platform's binary of the native engine, which depends on all of them, optionally: npm installs the
// one whose `os`, `cpu` and `libc` fit. They are written at a release and are nowhere in the repository.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { editManifest } from './stage.mjs';

/** Windows is missing: the kernels' memory and files are POSIX's. The release workflow has a machine for each. */
export const platforms = {
  'linux-x64': { os: 'linux', cpu: 'x64', libc: 'glibc', words: 'Linux on x86-64' },
  'linux-arm64': { os: 'linux', cpu: 'arm64', libc: 'glibc', words: 'Linux on ARM64' },
  'darwin-arm64': { os: 'darwin', cpu: 'arm64', words: 'macOS on Apple silicon' },
  'darwin-x64': { os: 'darwin', cpu: 'x64', words: 'macOS on Intel' },
};

/** @param {string} platform */
export const packageOf = (platform) => `@glulam/engine-native-${platform}`;

/** Of the Debian that the workflow builds in; a binary that needs a newer one was built elsewhere. */
export const newestGlibc = '2.31';

const folder = 'plugins/engine-native';

/** The binary that this machine built for itself. @param {string} root @returns {Record<string, string>} */
export function ownBinary(root) {
  const platform = `${process.platform}-${process.arch}`;
  const file = path.join(root, folder, 'build/glulam.node');
  return platform in platforms && existsSync(file) ? { [platform]: file } : {};
}

/** `FOLDER/linux-x64/glulam.node` and so on, of every platform. @param {string} from @returns {Record<string, string>} */
export function allBinaries(from) {
  const files = Object.keys(platforms).map((name) => [name, path.join(from, name, 'glulam.node')]);
  const missing = files.filter(([, file]) => !existsSync(file)).map(([, file]) => file);
  if (missing.length > 0) throw new Error(`there is no ${missing.join(', no ')}: the release needs every platform's`);
  return Object.fromEntries(files);
}

/**
 * Writes the packages of these binaries into a staged workspace, and the engine's dependencies on them.
 *
 * @param {string} root @param {Record<string, string>} binaries files by platform
 */
export function writePlatformPackages(root, binaries) {
  const engine = JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
  for (const [platform, binary] of Object.entries(binaries)) {
    const { os, cpu, libc, words } = platforms[platform];
    const glibc = glibcOf(binary);
    const { version, license, engines, repository } = engine;
    const description = `${words}${glibc === undefined ? '' : `, glibc ${glibc} or newer`}: the binary of ${engine.name}`;
    const to = path.join(root, 'platforms', platform);
    mkdirSync(to, { recursive: true });
    copyFileSync(binary, path.join(to, 'glulam.node'));
    copyFileSync(path.join(root, 'LICENSE'), path.join(to, 'LICENSE'));
    const manifest = {
      ...{ name: packageOf(platform), version, description, license, repository, engines },
      ...{ os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) },
      ...{ main: './glulam.node', files: ['glulam.node'], preferUnplugged: true },
    };
    writeFileSync(path.join(to, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    const about = `${engine.name} loads it and says how it is built; there is nothing to use here by itself.`;
    writeFileSync(path.join(to, 'README.md'), `# ${manifest.name}\n\n${description}. ${about}\n`);
  }
  const names = Object.keys(binaries).map(packageOf);
  editManifest(path.join(root, folder), (manifest) => ({
    ...manifest,
    optionalDependencies: Object.fromEntries(names.map((name) => [name, manifest.version])),
  }));
  editManifest(root, (manifest) => ({ ...manifest, workspaces: [...manifest.workspaces, 'platforms/*'] }));
}

/**
 * The glibc that a binary asks for, by the names of versions among its symbols; none where it asks for none.
 *
 * @param {string} binary @returns {string | undefined}
 */
export function glibcOf(binary) {
  const names = readFileSync(binary, 'latin1').match(/GLIBC_\d+\.\d+/g) ?? [];
  return names
    .map((name) => name.slice('GLIBC_'.length))
    .sort((a, b) => minor(a) - minor(b))
    .at(-1);
}

/** glibc's major version is 2 since 1997. @param {string} version */
export const minor = (version) => Number(version.split('.')[1]);
