import { expect, test } from 'vitest';
import { apiReports } from './api-reports.mjs';
import { checkPackages } from './check-packages.mjs';
import { checkThirdParty } from './check-third-party.mjs';

// Both look at what is built, as users get it: npm test builds first.
test('tarballs, exports and types of all packages are right', { timeout: 300_000 }, async () => {
  const { packages, faults } = await checkPackages();
  expect(faults).toEqual([]);
  expect(packages).toBeGreaterThan(20);
});

test(
  'plugins of third parties are built, tested and used from packed packages alone',
  { timeout: 600_000 },
  async () => {
    const { plugins, faults } = await checkThirdParty();
    expect(faults).toEqual([]);
    expect(plugins).toEqual(['glulam-adapter-ia3', 'glulam-family-qwen2']);
  },
);

test(
  'api/ holds the public types of all packages; after a look at the changes: npm run api',
  { timeout: 300_000 },
  () => {
    expect(apiReports(false)).toEqual([]);
  },
);
