// Builds the addon from native/ into build/glulam.node, and with --tests the C++ programs (native/test/*_test.cc, *_bench.cc) too.
// `--tests-only NAME [flag...]` builds the test programs alone into build/NAME, with more flags: for sanitizers, or with a
// compiler for another machine in CXX.
// Needs a C++17 compiler and nothing else: the Node-API headers come from npm, and there is no network and no node-gyp.
// What did not change is not compiled again: an object's name holds the hash of all that went into it.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.dirname(fileURLToPath(import.meta.url));
const native = path.join(root, 'native');
const [variant, ...variantFlags] = process.argv.includes('--tests-only')
  ? process.argv.slice(process.argv.indexOf('--tests-only') + 1)
  : [];
const build = path.join(root, 'build', ...(variant === undefined ? [] : [variant]));
const objects = path.join(build, 'objects');

const commonFlags = [
  '-std=c++17',
  '-O3',
  '-fPIC',
  '-pthread',
  '-fno-math-errno',
  '-Wall',
  '-Wextra',
  '-DNAPI_VERSION=8',
];
const avx2Flags = ['-mavx2', '-mfma', '-mf16c'];
const avx512Flags = [
  ...avx2Flags,
  ...['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mprefer-vector-width=512'],
];
const isaFlags = {
  'kernels/kernels_avx2.cc': avx2Flags,
  'kernels/kernels_avx512.cc': avx512Flags,
  'kernels/kernels_avx512bf16.cc': [...avx512Flags, '-mavx512bf16'],
};
const staticRuntime = process.platform === 'darwin' ? [] : ['-static-libstdc++', '-static-libgcc'];
// It has a signal handler, which must not go when the last thread of JavaScript that loaded it ends: nodelete.
const addonFlags =
  process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-Wl,-z,nodelete'];

async function main() {
  if (process.platform === 'win32') {
    fail('engine-native builds on Linux and macOS; on Windows use it inside WSL, or choose another engine.');
  }
  const withTests = variant !== undefined || process.argv.includes('--tests');
  const compiler = await findCompiler();
  const { machine } = compiler;
  const headers = createRequire(import.meta.url)('node-api-headers').include_dir;
  try {
    mkdirSync(objects, { recursive: true });
    accessSync(objects, constants.W_OK);
  } catch (error) {
    fail(`${build} cannot be written (${error.message}): run this once as somebody who may write there.`);
  }

  const files = readdirSync(native, { recursive: true, encoding: 'utf8' }).sort();
  const shared = createHash('sha256').update(compiler.version);
  for (const file of files.filter((name) => /\.(h|inc)$/.test(name))) shared.update(file).update(source(file));
  const sharedHash = shared.digest('hex');

  const units = files
    .filter((file) => file.endsWith('.cc') && (withTests || !isProgram(file)))
    .filter((file) => variant === undefined || !/^addon|_bench\.cc$/.test(file))
    .filter((file) => machine.startsWith('x86_64') || !(file in isaFlags))
    .map((file) => {
      const flags = [...commonFlags, ...(isaFlags[file] ?? []), ...variantFlags];
      const hash = hashOf(sharedHash, source(file), flags.join(' '));
      return { file, flags, object: path.join(objects, `${path.parse(file).name}.${hash.slice(0, 16)}.o`) };
    });
  const stale = units.filter(({ object }) => !existsSync(object));
  await eachOf(stale, availableParallelism(), async ({ file, flags, object }) => {
    const part = partOf(object);
    await compile(compiler, [...flags, '-I', headers, '-I', native, '-c', path.join(native, file), '-o', part], file);
    renameSync(part, object);
  });

  const library = units.filter(({ file }) => !isProgram(file));
  const built = variant === undefined ? [await link(compiler, 'glulam.node', library, addonFlags)] : [];
  const plain = library.filter(({ file }) => !file.startsWith('addon'));
  for (const program of units.filter(({ file }) => isProgram(file))) {
    built.push(await link(compiler, path.parse(program.file).name, [program, ...plain], variantFlags));
  }
  removeStale(units, withTests);
  const fresh = built.filter(({ linked }) => linked).map(({ name }) => name);
  console.log(
    fresh.length ? `built ${fresh.join(', ')} (${stale.length} of ${units.length} files compiled)` : 'up to date',
  );
}

async function link(compiler, name, units, flags) {
  const target = path.join(build, name);
  const stamp = `${target}.inputs`;
  const parts = units.map(({ object }) => object);
  const hash = hashOf(...parts, flags.join(' '));
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return { name, linked: false };
  // A process that has the old one loaded keeps it: the new one gets a name of its own first.
  await compile(compiler, [...flags, '-pthread', ...staticRuntime, ...parts, '-o', partOf(target)], name);
  renameSync(partOf(target), target);
  writeFileSync(stamp, hash);
  return { name, linked: true };
}

async function findCompiler() {
  const named = process.env.CXX?.trim();
  const tried = named ? [named] : ['c++', 'g++', 'clang++'];
  for (const command of tried) {
    const [program, ...args] = command.split(/\s+/);
    try {
      const { stdout } = await run(program, [...args, '--version']);
      const { stdout: machine } = await run(program, [...args, '-dumpmachine']);
      return { program, args, version: `${command}\n${stdout}\n${machine}`, machine };
    } catch (error) {
      if (error.code !== 'ENOENT') fail(`the C++ compiler ${command} does not run: ${error.stderr || error.message}`);
    }
  }
  fail(
    `no C++ compiler found (tried ${tried.join(', ')}). Install one (Debian, Ubuntu: apt-get install g++; ` +
      'Fedora: dnf install gcc-c++; macOS: xcode-select --install), or name yours in the variable CXX.',
  );
}

async function compile({ program, args }, more, what) {
  try {
    const { stderr } = await run(program, [...args, ...more], { maxBuffer: 2 ** 26 });
    if (stderr) console.error(stderr);
  } catch (error) {
    fail(`compiling ${what} failed:\n${error.stderr || error.message}`);
  }
}

async function eachOf(items, jobs, body) {
  const waiting = [...items];
  const work = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await body(item);
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

/** Two processes may build at once, where both use the engine for the first time. */
function partOf(file) {
  return `${file}.${process.pid}.part`;
}

function isProgram(file) {
  return /_(test|bench)\.cc$/.test(file);
}

/** Objects of earlier versions of these files; those of programs that were not asked for stay. */
function removeStale(units, withTests) {
  const current = new Set(units.map(({ object }) => path.basename(object)));
  for (const file of readdirSync(objects)) {
    if (current.has(file) || file.endsWith('.part') || (!withTests && /_(test|bench)\.[^.]+\.o$/.test(file))) continue;
    rmSync(path.join(objects, file), { force: true });
  }
}

function source(file) {
  return readFileSync(path.join(native, file));
}

function hashOf(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

function fail(message) {
  console.error(`@glulam/engine-native: ${message}`);
  process.exit(1);
}

await main();
