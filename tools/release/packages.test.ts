import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiReports } from '../make/api-reports.mjs';
import { checkPackages } from './check-packages.mjs';
import { checkPrebuilt } from './check-prebuilt.mjs';
import { checkThirdParty } from '../check/check-third-party.mjs';
import { tarballsByName } from './packed.mjs';
import { dryRun } from './release.mjs';
import { packageOf, platforms } from './platform-packages.mjs';

// What is built, as users get it from the next release: npm test builds first.
const platform = `${process.platform}-${process.arch}`;
const binary = packageOf(platform);
let folder: string;
let release: ReturnType<typeof dryRun>;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'glulam-release-test-'));
  release = dryRun(folder);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true }));

test('the next release: versions and dependencies agree, and a publish misses only what the workflow has', () => {
  expect(release.faults).toEqual([]);
  expect(release.packed.length).toBeGreaterThan(20);
  const engine = release.manifests.find(({ name }) => name === '@glulam/engine-native');
  const made = platform in platforms ? { [binary]: engine.version } : {};
  expect(engine.optionalDependencies).toEqual(made);
  for (const note of release.notes) expect(note).toMatch(/needs glibc|have no "repository"/);
});

test('tarballs, exports and types of all packages are right', { timeout: 300_000 }, async () => {
  const packages = release.packed.filter(({ name }) => name !== binary);
  expect(await checkPackages(folder, packages)).toEqual([]);
});

test(
  "the native engine takes its platform's binary where there is no compiler, and compiles where that does not load",
  { timeout: 600_000 },
  ({ skip }) => {
    skip(!(platform in platforms), `no binary is built for ${platform}`);
    expect(checkPrebuilt(tarballsByName(folder, release.packed))).toEqual([]);
  },
);

test('plugins of third parties are built, tested and used from packed packages alone', { timeout: 600_000 }, () => {
  const { plugins, faults } = checkThirdParty(tarballsByName(folder, release.packed));
  expect(faults).toEqual([]);
  expect(plugins).toEqual(['glulam-adapter-ia3', 'glulam-family-qwen2']);
});

test(
  'api/ holds the public types of all packages; after a look at the changes: npm run api',
  { timeout: 300_000 },
  () => {
    expect(apiReports(false)).toEqual([]);
  },
);
