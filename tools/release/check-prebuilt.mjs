// The native engine as npm brings it: its platform's binary trains where there is no compiler; where that is missing or
// does not load, the sources are compiled, and where that fails too, the message says all of it. Packages must be built.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { glibcOf, packageOf } from './platform-packages.mjs';

const root = path.join(import.meta.dirname, '../..');
const platform = packageOf(`${process.platform}-${process.arch}`);

/**
 * Uses up the home's engine: in the end it is one that was compiled there, without its platform's package.
 *
 * @param {string} home where all packages are installed, the platform's among them
 * @returns {string[]} what is wrong, with what was printed
 */
export function checkPrebuilt(home) {
  const folder = path.join(home, 'prebuilt');
  mkdirSync(path.join(folder, 'empty'), { recursive: true });
  const binary = path.join(home, 'node_modules', platform, 'glulam.node');
  const build = path.join(home, 'node_modules/@glulam/engine-native/build');
  const compiled = path.join(build, 'glulam.node');
  writeFileSync(path.join(folder, 'glulam.config.json'), JSON.stringify(config()));
  /** @type {string[]} */
  const faults = [];

  /**
   * Runs glulam and looks at what it prints.
   *
   * @param {string} what
   * @param {{ compiler: boolean, args: string[], status?: number, has?: RegExp[], lacks?: RegExp[] }} options
   */
  const expect = (what, { compiler, args, status = 0, has = [], lacks = [] }) => {
    const ran = glulam(folder, args, compiler ? process.env.PATH : path.join(folder, 'empty'));
    const text = `${ran.stdout}\n${ran.stderr}`;
    const wrong = [
      ...(ran.status === status ? [] : [`ends with ${ran.status}, expected ${status}`]),
      ...has.filter((part) => !part.test(text)).map((part) => `does not print ${part}`),
      ...lacks.filter((part) => part.test(text)).map((part) => `prints ${part}`),
    ];
    if (wrong.length > 0) faults.push(`${what}: glulam ${args.join(' ')} ${wrong.join(', ')}:\n${text}`);
  };
  const doctor = ['doctor'];
  const train = (out) => ['train', 'glulam.config.json', '--out', out];
  const compiles = /engine-native: compiling its C\+\+ kernels/;
  const trained = /^after step 2: loss \d/m;
  const loads = (origin, file) => new RegExp(`^ {2}\\+ native .*; ${origin}: ${literally(file)}$`, 'm');

  const shipped = { compiler: false, lacks: [compiles] };
  expect('a binary', { ...shipped, args: doctor, has: [loads('binary from npm', binary)] });
  expect('a binary', { ...shipped, args: train('run'), has: [trained] });
  if (existsSync(build)) faults.push('a binary: something was compiled beside it');

  const why = makeUnloadable(binary);
  const failure = new RegExp(`${literally(binary)} does not load here: .*${why}`);
  const nothing = [failure, /compiling failed: .*no C\+\+ compiler found/];
  expect('no compiler either', { compiler: false, args: doctor, has: [/^ {2}- native /m, ...nothing] });
  expect('no compiler either', { compiler: false, args: train('none'), status: 1, has: nothing });
  // The files that this repository has compiled, or it would take a minute.
  const objects = path.join(root, 'plugins/engine-native/build/objects');
  cpSync(objects, path.join(build, 'objects'), { recursive: true });
  expect('a binary that does not load', {
    compiler: true,
    args: doctor,
    has: [failure, compiles, loads('compiled here', compiled)],
  });
  expect('what was compiled', { compiler: false, args: train('again'), has: [trained], lacks: [compiles, failure] });

  rmSync(path.dirname(binary), { recursive: true });
  rmSync(compiled);
  expect('no binary', {
    compiler: true,
    args: doctor,
    has: [compiles, loads('compiled here', compiled)],
    lacks: [failure],
  });
  return faults;
}

/** As on a system whose C library is too old; where none is asked for, something that is no library. @param {string} file */
function makeUnloadable(file) {
  const newest = glibcOf(file);
  if (newest === undefined) {
    writeFileSync(file, 'of another machine');
    return '';
  }
  const bytes = readFileSync(file, 'latin1').replaceAll(`GLIBC_${newest}\0`, 'GLIBC_2.99\0');
  writeFileSync(file, bytes, 'latin1');
  return "version .GLIBC_2\\.99' not found";
}

function config() {
  const examples = path.join(root, 'examples');
  return {
    base: path.join(examples, 'models/tiny-mistral-gsm8k'),
    expansion: {
      kind: 'layer_map',
      layer_map: [
        [0, 4],
        [2, 6],
        [4, 8],
      ],
    },
    adapter: { kind: 'lora', r: 4 },
    engine: { kind: 'native' },
    data: {
      train: path.join(examples, 'data/word-problems.train.jsonl'),
      heldOut: path.join(examples, 'data/word-problems.heldout.jsonl'),
    },
    train: { steps: 2, batch: 2 },
  };
}

/** @param {string} folder @param {string[]} args @param {string | undefined} PATH */
function glulam(folder, args, PATH) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, PATH, GLULAM_CACHE: path.join(folder, '.cache') };
  delete env.CXX;
  const script = path.join(folder, '../node_modules/glulam/bin/glulam.js');
  return spawnSync(process.execPath, [script, ...args], { cwd: folder, env, encoding: 'utf8' });
}

/** @param {string} text */
const literally = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
