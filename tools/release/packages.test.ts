import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkCreate } from '../check/check-create.mjs';
import { checkThirdParty } from '../check/check-third-party.mjs';
import { apiReports } from '../make/api-reports.mjs';
import { checkPackages } from './check-packages.mjs';
import { checkPrebuilt } from './check-prebuilt.mjs';
import { installPacked, whyNotInstalled } from './installed.mjs';
import { tarballsByName } from './packed.mjs';
import { dryRun } from './release.mjs';
import { packageOf, platforms } from './platform-packages.mjs';

// What is built, as users get it from the next release: npm test builds first.
const platform = `${process.platform}-${process.arch}`;
const binary = packageOf(platform);
let folder: string;
let release: ReturnType<typeof dryRun>;
/** All of it installed once. The checks use it in this order: each leaves what the next one needs. */
let home: string;
let whyNot: string | undefined;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'glulam-release-test-')));
  release = dryRun(folder);
  home = path.join(folder, 'home');
  try {
    installPacked(home, tarballsByName(folder, release.packed));
  } catch (error) {
    whyNot = whyNotInstalled(error);
    if (whyNot === undefined) throw error;
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the next release: versions and dependencies agree, and a publish misses only what the workflow has', () => {
  expect(release.faults).toEqual([]);
  expect(release.packed.length).toBeGreaterThan(20);
  const engine = release.manifests.find(({ name }) => name === '@glulam/engine-native');
  const made = platform in platforms ? { [binary]: engine.version } : {};
  expect(engine.optionalDependencies).toEqual(made);
  for (const note of release.notes) expect(note).toMatch(/needs glibc|have no "repository"/);
});

test('tarballs, exports and types of all packages are right', async () => {
  const packages = release.packed.filter(({ name }) => name !== binary);
  expect(await checkPackages(folder, packages)).toEqual([]);
});

describe('installed from the tarballs', { timeout: 600_000 }, () => {
  beforeEach(({ skip }) => skip(whyNot !== undefined, whyNot));

  test('plugins of third parties are built, tested and used', () => {
    const { plugins, faults } = checkThirdParty(home);
    expect(faults).toEqual([]);
    expect(plugins).toEqual(['glulam-adapter-ia3', 'glulam-family-seed-oss']);
  });

  test("the native engine takes its platform's binary where there is no compiler, and compiles where that does not load", ({
    skip,
  }) => {
    skip(!(platform in platforms), `no binary is built for ${platform}`);
    expect(checkPrebuilt(home)).toEqual([]);
  });

  test('a made plugin of every role builds, passes its suite and trains', async () => {
    const lines = await checkCreate(home);
    expect(lines).toHaveLength(7);
    for (const line of lines) expect(line).toMatch(/ [1-9]\d* tests,/);
  });
});

test('api/ holds the public types of all packages; after a look at the changes: npm run api', () => {
  expect(apiReports(false)).toEqual([]);
});
