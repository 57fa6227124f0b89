import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { placeAmongSlow, slowTests } from './slow-tests.mjs';

const root = path.join(import.meta.dirname, '..');

test('every entry of the slow tier is a file of tests or a folder of such', () => {
  const isGone = (entry: string): boolean => {
    const place = path.join(root, entry);
    if (!existsSync(place) || statSync(place).isDirectory() !== entry.endsWith('/')) return true;
    const names = entry.endsWith('/') ? readdirSync(place) : [entry];
    return !names.some((name) => name.endsWith('.test.ts'));
  };
  expect(slowTests.filter(isGone)).toEqual([]);
});

test('a file is in the tier that the list says', () => {
  expect(placeAmongSlow('tools/release/packages.test.ts')).toBe(0);
  expect(placeAmongSlow('test/runs/run.test.ts')).toBe(slowTests.indexOf('test/runs/'));
  expect(placeAmongSlow('test/model/golden.test.ts')).toBe(-1);
  expect(placeAmongSlow('packages/testing/src/engines/test-engine.test.ts')).toBe(-1);
});
