import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadAddon } from './addon.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const programs = readdirSync(`${root}/native/test`)
  .filter((file) => file.endsWith('_test.cc'))
  .map((file) => file.slice(0, -'.cc'.length));
const compiler = process.env['CXX'] ?? 'c++';

/** Builds the test programs with `flags` into build/NAME. */
const build = (name: string, flags: readonly string[], CXX = compiler) =>
  run(process.execPath, ['build.mjs', '--tests-only', name, ...flags], { cwd: root, env: { ...process.env, CXX } });

/** What stands in the way of running what `compile` makes with `flags`, or undefined. */
function obstacle(compile: string, flags: readonly string[], runner: readonly string[] = []): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-compile-'));
  const [source, program] = [path.join(folder, 'main.cc'), path.join(folder, 'main')];
  try {
    writeFileSync(source, 'int main() { return 0; }\n');
    execFileSync(compile, [...flags, source, '-o', program], { stdio: 'pipe' });
    const [command, ...args] = [...runner, program];
    execFileSync(command, args, { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const passes = async (command: string, args: readonly string[]): Promise<void> => {
  const { stdout } = await run(command, [...args], { maxBuffer: 2 ** 26 });
  expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m);
};

// The kernels without Node around them.
describe('the C++ test programs', () => {
  beforeAll(() => run(process.execPath, ['build.mjs', '--tests'], { cwd: root }), 600_000);

  it.each(programs)('%s', (program) => passes(`${root}/build/${program}`, []));
});

// -Og where compiling takes longest: what the address sanitizer adds is not optimized again. Compiling gains more than running loses.
// On the widest instruction set, and for memory also on a unit for bfloat16 where there is one: threads share work alike on all of
// them. Products of one random shape in ten.
describe.each([
  { name: 'address', flags: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Og', '-g1'] },
  { name: 'thread', flags: ['-fsanitize=thread', '-O1', '-g1'] },
])('the C++ test programs under the $name sanitizer', ({ name, flags }) => {
  const why = obstacle(compiler, flags);
  if (why !== undefined) {
    it('not run', ({ skip }) => skip(`${compiler} ${flags[0]}: ${why}`));
    return;
  }
  const { isas } = loadAddon();
  const tried = isas.filter((isa, i) => i === 0 || (name === 'address' && isa === 'avx512-bf16'));
  beforeAll(() => build(name, flags), 600_000);

  // Memory is for one thread.
  const found = programs.filter((program) => name !== 'thread' || program !== 'memory_test');
  it.each(found.flatMap((program) => tried.map((isa) => [program, isa] as const)))('%s on %s', (program, isa) =>
    passes(`${root}/build/${name}/${program}`, program === 'gemm_test' ? [isa, '10'] : [isa]),
  );
});

// Of kernels_test nothing but time speaks against it: minutes, run by hand (README).
describe('NEON kernels, cross-compiled, under an emulator', () => {
  const [cross, emulator] = ['aarch64-linux-gnu-g++', 'qemu-aarch64'];
  const why = obstacle(cross, ['-static'], [emulator]);
  if (why !== undefined) {
    it('not run', ({ skip }) => skip(`${cross} and ${emulator}: ${why}`));
    return;
  }
  beforeAll(() => build('aarch64', ['-static'], cross), 600_000);

  it.each(['neon', 'neon-bfdot', 'neon-bfmmla'])('gemm_test on %s', (isa) =>
    passes(emulator, ['-cpu', 'max', `${root}/build/aarch64/gemm_test`, isa, '10']),
  );
});
