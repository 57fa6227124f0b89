import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { arithmeticLimit, openMachineLimits } from './machine-limits.mjs';

test('the limits compile here, and are in the order that hardware has them in', () => {
  const limits = openMachineLimits(mkdtempSync(path.join(tmpdir(), 'glulam-limits-')))(1);
  expect(limits.threads).toBe(1);
  const rates = new Map(limits.units.map(({ unit, gflops }) => [unit, gflops]));
  expect(rates.size).toBe(limits.units.length);
  // One core does between one multiply-add a cycle at 0.5 GHz and 512 at 5 GHz, and reads at most what its registers take:
  // more would mean that the compiler left the work out.
  for (const [unit, gflops] of rates) {
    expect(gflops, unit).toBeGreaterThan(0.5);
    expect(gflops, unit).toBeLessThan(5000);
  }
  expect(limits.readGigabytesPerSecond).toBeGreaterThan(0.1);
  expect(limits.readGigabytesPerSecond).toBeLessThan(500);
  expect(arithmeticLimit(limits, 'bfloat16')).toBeGreaterThanOrEqual(arithmeticLimit(limits, 'float32'));
});
