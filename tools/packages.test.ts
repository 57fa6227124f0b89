import { expect, test } from 'vitest';
import { apiReports } from './api-reports.mjs';
import { checkPackages } from './check-packages.mjs';

// Both look at what is built, as users get it: npm test builds first.
test('tarballs, exports and types of all packages are right', { timeout: 300_000 }, async () => {
  const { packages, faults } = await checkPackages();
  expect(faults).toEqual([]);
  expect(packages).toBeGreaterThan(20);
});

test(
  'api/ holds the public types of all packages; after a look at the changes: npm run api',
  { timeout: 300_000 },
  () => {
    expect(apiReports(false)).toEqual([]);
  },
);
