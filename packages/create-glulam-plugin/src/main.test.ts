import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CreateError } from './errors.js';
import { main } from './main.js';
import type { Prompts } from './prompts.js';

const scratch = mkdtempSync(path.join(tmpdir(), 'create-glulam-plugin-'));
const folder = path.join(scratch, 'made');
let out = '';
let err = '';
beforeEach(() => {
  out = err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

function inTerminal(isTTY: boolean): void {
  for (const stream of [process.stdin, process.stdout])
    Object.defineProperty(stream, 'isTTY', { configurable: true, value: isTTY });
}

const never: Prompts = {
  role: () => expect.unreachable('asked for the role'),
  name: () => expect.unreachable('asked for the name'),
  folder: () => expect.unreachable('asked for the folder'),
};

test('flags say everything, and nothing is asked', async () => {
  inTerminal(true);
  expect(await main(['--role', 'format', '--name', 'x', '--dir', folder], never)).toBe(0);
  expect(out).toMatch(/^glulam-plugin-format-x: 9 files in .*made\n/);
  expect(out).toContain('npm test');
});

test('in a terminal what is not given is asked for, in order, each knowing what was said before', async () => {
  inTerminal(true);
  const asked: unknown[] = [];
  const prompts: Prompts = {
    role: async () => (asked.push('role'), 'reporter'),
    name: async (role) => (asked.push(role), 'bell'),
    folder: async (role, name) => (asked.push([role, name]), folder),
  };
  expect(await main([], prompts)).toBe(0);
  expect(asked).toEqual(['role', 'reporter', ['reporter', 'bell']]);
  expect(readFileSync(path.join(folder, 'src/index.ts'), 'utf8')).toContain("kind: 'bell'");
});

test('a wrong flag is told before anything is asked', async () => {
  inTerminal(true);
  expect(await main(['--role', 'reprter'], never)).toBe(1);
  expect(err).toMatch(/error \[ROLE_UNKNOWN\].*did you mean "reporter"/);
});

test('whoever leaves the questions gets 130, and no folder', async () => {
  inTerminal(true);
  const leave = async () => Promise.reject(new CreateError('INTERRUPTED', 'nothing was written'));
  expect(await main(['--role', 'format', '--dir', folder], { ...never, name: leave })).toBe(130);
  expect(existsSync(folder)).toBe(false);
});

test.each([
  ['without a terminal', [], false],
  ['with --yes', ['--yes'], true],
])('%s what is missing is an error', async (_, args, terminal) => {
  inTerminal(terminal);
  expect(await main([...args, '--dir', folder], never)).toBe(1);
  expect(err).toMatch(/error \[USAGE\]: --role and --name must be given/);
  expect(existsSync(folder)).toBe(false);
});

test('unknown options and --help show the usage', async () => {
  expect(await main(['--rol', 'x'], never)).toBe(1);
  expect(err).toMatch(/Unknown option '--rol'[\s\S]*usage:/);
  expect(await main(['--help'], never)).toBe(0);
  expect(out).toMatch(/usage: npm create glulam-plugin[\s\S]*adapter, family/);
});
