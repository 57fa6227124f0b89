import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { sharedTests } from './shared-workers.mjs';

test('unit tests share workers, unless they change their process', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'glulam-shared-'));
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  };
  write('packages/a/src/deep/reads.test.ts', "const home = process.env['HOME'];\nexpect(process.env['A'] === 'b');");
  write('packages/a/src/source.ts', '');
  write('packages/a/test/elsewhere.test.ts', '');
  write('packages/a/src/sets.test.ts', "process.env['HOME'] = folder;");
  write('packages/a/src/stubs.test.ts', "vi.stubEnv('HOME', folder);");
  write('packages/a/src/mocks.test.ts', "vi.mock('./source.js');");
  write('packages/a/src/timers.test.ts', "vi.useFakeTimers({ toFake: ['performance'] });");
  write('packages/a/src/moves.test.ts', 'process.chdir(folder);');
  write('plugins/b/src/index.test.ts', '');
  write('plugins/engine-native/src/queue.test.ts', '');
  write('plugins/c/package.json', '{}');
  expect(sharedTests(root)).toEqual(['packages/a/src/deep/reads.test.ts', 'plugins/b/src/index.test.ts']);
});

test('none of them is of the slow tier', () => {
  const shared = sharedTests(path.join(import.meta.dirname, '..'));
  expect(shared.length).toBeGreaterThan(100);
  expect(shared).not.toContain('packages/trainer/src/readers-fuzz.test.ts');
});
