import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findAddon, loadAddon } from './addon.js';
import { layoutsHash } from './commands/layouts.js';

const here = path.resolve(import.meta.dirname, '..');
const built = path.join(here, 'build/glulam.node');
const platformPackage = `@glulam/engine-native-${process.platform}-${process.arch}`;
let folder: string;
let told: string[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'glulam-addon-'));
  told = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => (told.push(String(text)), true));
  writeManifest({ [platformPackage]: '0.3.0' });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function writeManifest(optionalDependencies?: Record<string, string>) {
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ version: '0.3.0', optionalDependencies }));
}

/** As npm does; check-prebuilt.mjs does it with npm. */
function installBinary({ version = '0.3.0', broken = false } = {}) {
  const place = path.join(folder, 'node_modules', platformPackage);
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ name: platformPackage, version }));
  if (broken) writeFileSync(path.join(place, 'glulam.node'), 'of another machine');
  else cpSync(built, path.join(place, 'glulam.node'));
  return path.join(place, 'glulam.node');
}

/** The compiler is not what is tested here: check-prebuilt.mjs has one. */
function writeBuildScript() {
  const copy = `import { cpSync } from 'node:fs'; cpSync(${JSON.stringify(built)}, ${JSON.stringify(path.join(folder, 'build/glulam.node'))});`;
  writeFileSync(path.join(folder, 'build.mjs'), copy);
}

test('the binary of the platform is used, without a compiler and without a word', () => {
  const file = installBinary();
  const { addon, origin } = findAddon(folder);
  expect(addon.isas).toContain('plain');
  expect(origin).toBe(`binary from npm: ${file}`);
  expect(told).toEqual([]);
});

test('without a binary the addon is compiled at its first use, which is told, and at no other', () => {
  writeBuildScript();
  expect(loadAddon(folder).isas).toContain('plain');
  expect(told.join('')).toMatch(/^engine-native: compiling its C\+\+ kernels/);
  told = [];
  rmSync(path.join(folder, 'build.mjs'));
  expect(findAddon(folder).origin).toBe(`compiled here: ${path.join(folder, 'build/glulam.node')}`);
  expect(told).toEqual([]);
});

test('what was compiled here goes before the binary', () => {
  installBinary({ broken: true });
  mkdirSync(path.join(folder, 'build'));
  cpSync(built, path.join(folder, 'build/glulam.node'));
  expect(findAddon(folder).origin).toMatch(/^compiled here/);
});

test.each([
  [{ broken: true }, /glulam\.node does not load here: .*\nengine-native: compiling/],
  [{ version: '0.2.0' }, /is 0\.2\.0, expected 0\.3\.0 .*npm install \S+@0\.3\.0\nengine-native: compiling/],
])('a binary that is %j is told, and the sources are compiled', (how, message) => {
  installBinary(how);
  writeBuildScript();
  expect(findAddon(folder).origin).toMatch(/^compiled here/);
  expect(told.join('')).toMatch(message);
});

test('where there is no compiler either, the message has all that was tried, and what needs none', () => {
  for (const name of ['build.mjs', 'native'])
    cpSync(path.join(here, name), path.join(folder, name), { recursive: true });
  vi.stubEnv('CXX', 'no-such-compiler');
  const attempt = () => loadAddon(folder);
  expect(attempt).toThrow(
    /- @glulam\/engine-native-\S+ is not installed: npm install @glulam\/engine-native-\S+@0\.3\.0\n/,
  );
  expect(attempt).toThrow(/- compiling failed: .*no C\+\+ compiler found \(tried no-such-compiler\). Install one/);
  expect(attempt).toThrow(/To mend it: .*node .*build\.mjs.*docs\/engines\.md/);
  installBinary({ broken: true });
  expect(attempt).toThrow(/- \S+glulam\.node does not load here: .*\n- compiling failed/);
  writeManifest();
  expect(attempt).toThrow(/- @glulam\/engine-native 0\.3\.0 was made without a binary for /);
  expect(existsSync(path.join(folder, 'build'))).toBe(false);
});

test('an addon whose commands have other arguments is not used', () => {
  const file = installBinary();
  const bytes = readFileSync(built);
  bytes.write(layoutsHash.split('').reverse().join(''), bytes.indexOf(layoutsHash));
  rmSync(file);
  writeFileSync(file, bytes);
  expect(() => findAddon(folder)).toThrow(/glulam\.node was made from other sources than this package has/);
});

test('an addon that was compiled here and does not load is not touched: a person removes it', () => {
  mkdirSync(path.join(folder, 'build'));
  writeFileSync(path.join(folder, 'build/glulam.node'), 'of another machine');
  expect(() => loadAddon(folder)).toThrow(
    /- \S+build\/glulam.node does not load here: .*\n- .* is not installed.*\nTo mend it: remove \S+ and .*node .*build\.mjs/,
  );
});
