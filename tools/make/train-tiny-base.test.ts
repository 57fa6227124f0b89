import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lossesByStep } from '../../test/support/tiny.js';

const script = path.join(import.meta.dirname, 'train-tiny-base.mjs');
const scratch = mkdtempSync(path.join(tmpdir(), 'glulam-tiny-base-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });

test('a model trained from nothing learns, is a plain checkpoint, and generates', () => {
  const folder = path.join(scratch, 'base');
  const { status, stdout, stderr } = run(folder, '--layers', '2', '--hidden', '32', '--steps', '12');
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/held-out loss \d\.\d+ \(a guess among all tokens is 7\.337\)/);
  const losses = [...lossesByStep(path.join(folder, 'run')).values()];
  expect(losses).toHaveLength(12);
  // It begins as a guess, and falls.
  expect(Math.abs(losses[0]! - Math.log(1536))).toBeLessThan(0.05);
  expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.05);
  expect(readdirSync(path.join(folder, 'model'))).toEqual(
    expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']),
  );
});

test.each([
  ['no folder', [], 'expected one FOLDER'],
  ['a folder that is there', [scratch], 'is there already'],
  ['half a layer', [path.join(scratch, 'x'), '--layers', '0.5'], 'whole numbers'],
])('refuses %s', (_, args, message) => {
  const { status, stderr } = run(...args);
  expect(status).toBe(1);
  expect(stderr).toContain(message);
  expect(existsSync(path.join(scratch, 'x'))).toBe(false);
});
