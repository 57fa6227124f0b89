import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const script = path.join(import.meta.dirname, 'check-plan.mjs');

// Each shape is a training run in a process of its own, whose memory is looked at from outside.
test('the peak that a plan foretells is the measured one, within 10% or 50 MB', (context) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--tiny'], { encoding: 'utf8' });
  if (stdout.startsWith('skipped:')) context.skip(stdout.trim());
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toHaveLength(6);
  expect(status, stdout).toBe(0);
});
