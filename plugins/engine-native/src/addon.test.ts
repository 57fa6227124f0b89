import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { loadAddon } from './addon.js';

const here = path.resolve(import.meta.dirname, '..');
let folder: string;
let told: string[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'glulam-addon-'));
  told = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => (told.push(String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('an addon that was never built is built at its first use, which is told, and at no other', () => {
  // The compiler is not what is tested: check:create builds as users do.
  const built = path.join(here, 'build/glulam.node');
  writeFileSync(
    path.join(folder, 'build.mjs'),
    `import { cpSync } from 'node:fs'; cpSync(${JSON.stringify(built)}, ${JSON.stringify(path.join(folder, 'build/glulam.node'))});`,
  );
  expect(loadAddon(folder).isas).toContain('plain');
  expect(told.join('')).toMatch(/compiling its C\+\+ kernels/);
  told = [];
  rmSync(path.join(folder, 'build.mjs'));
  expect(loadAddon(folder).isas).toContain('plain');
  expect(told).toEqual([]);
});

test('where there is no compiler, the message says what is missing, how to mend it, and what needs none', () => {
  for (const name of ['build.mjs', 'native'])
    cpSync(path.join(here, name), path.join(folder, name), { recursive: true });
  vi.stubEnv('CXX', 'no-such-compiler');
  const attempt = () => loadAddon(folder);
  expect(attempt).toThrow(/no C\+\+ compiler found \(tried no-such-compiler\). Install one/);
  expect(attempt).toThrow(/node .*build\.mjs.*docs\/engines\.md/);
  expect(existsSync(path.join(folder, 'build'))).toBe(false);
});

test('an addon that does not load says so', () => {
  mkdirSync(path.join(folder, 'build'));
  writeFileSync(path.join(folder, 'build/glulam.node'), 'of another machine');
  expect(() => loadAddon(folder)).toThrow(/does not load from .*glulam.node.*node .*build\.mjs/);
});
