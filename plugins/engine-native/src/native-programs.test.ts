import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const programs = readdirSync(`${root}/native`)
  .filter((file) => file.endsWith('_test.cc'))
  .map((file) => file.slice(0, -'.cc'.length));

// The kernels without Node around them, as sanitizers and emulators run them too.
describe('the C++ test programs', () => {
  beforeAll(() => run(process.execPath, ['build.mjs', '--tests'], { cwd: root }), 600_000);

  it.each(programs)('%s', { timeout: 300_000 }, async (program) => {
    const { stdout } = await run(`${root}/build/${program}`, [], { maxBuffer: 2 ** 26 });
    expect(stdout.trim()).not.toBe('');
  });
});
