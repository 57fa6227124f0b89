import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const script = path.join(import.meta.dirname, 'check-create.mjs');

test(
  'a made plugin of every role builds, passes its suite and trains, from tarballs alone',
  { timeout: 600_000 },
  (context) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    if (stdout.startsWith('skipped:')) context.skip(stdout.trim());
    expect(stderr).toBe('');
    expect(status, stdout).toBe(0);
    expect(stdout).toMatch(/7 roles: built, tested, used by name and as a value/);
  },
);
