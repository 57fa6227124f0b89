// Makes a fresh checkout ready: dependencies installed, packages and the native addon built. It runs before anything is
// installed, so it uses Node's own modules only.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

export const root = path.join(import.meta.dirname, '..');

const oldestNode = [20, 19];

/**
 * Installs and builds what is missing; ends the process with a message where that fails. Tests set GLULAM_BUILT: `npm test`
 * has built, and a second build could replace files that another test reads.
 */
export function prepare() {
  if (process.env.GLULAM_BUILT) return;
  checkNode();
  if (!isInstalled()) install();
  build();
}

/**
 * Runs a program of node_modules/.bin in the repository's root; resolves nothing and never asks the network.
 *
 * @param {string} name
 * @param {string[]} args
 * @param {{ quiet?: boolean }} [options] quiet: print the output only when the program fails
 * @returns {number} the exit status
 */
export function runTool(name, args, { quiet = false } = {}) {
  return runProgram(path.join(root, 'node_modules', '.bin', name), args, quiet);
}

/**
 * As `runTool` where it is quiet, beside others of its kind.
 *
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<number>} the exit status
 */
export const startTool = (name, args) => startProgram(path.join(root, 'node_modules', '.bin', name), args);

/** @param {string} program @param {string[]} args @returns {Promise<number>} the exit status */
export function startProgram(program, args) {
  return new Promise((done) => {
    const options = { cwd: root, maxBuffer: 2 ** 28, shell: process.platform === 'win32' };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error !== null) process.stderr.write(stdout + stderr || `${error.message}\n`);
      done(error === null ? 0 : Number(error.code) || 1);
    });
  });
}

/** @param {string} program @param {string[]} args @param {boolean} quiet @returns {number} */
export function runProgram(program, args, quiet = false) {
  const result = spawnSync(program, args, {
    cwd: root,
    env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' },
    stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    maxBuffer: 2 ** 28,
    shell: process.platform === 'win32',
  });
  if (result.error !== undefined) {
    console.error(`Could not run ${program}: ${result.error.message}`);
    return 1;
  }
  const status = result.status ?? 1;
  if (quiet && status !== 0) process.stderr.write(Buffer.concat([result.stdout, result.stderr]));
  return status;
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = oldestNode;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  fail(`This is Node ${process.versions.node}; Glulam needs ${oldestNode.join('.')} or newer: see https://nodejs.org.`);
}

/**
 * Whether node_modules holds what package-lock.json names. A newer lock file alone does not mean that it does not (a
 * checkout makes every file new), and `npm ci` empties node_modules first, so the two are compared before it runs.
 */
function isInstalled() {
  const lock = path.join(root, 'package-lock.json');
  const installed = path.join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  if (statSync(lock).mtimeMs <= statSync(installed).mtimeMs) return true;
  const present = packagesOf(installed);
  return Object.entries(packagesOf(lock)).every(([key, entry]) => {
    if (!key.includes('node_modules/') || entry.optional || entry.devOptional) return true;
    return present[key] !== undefined && present[key].version === entry.version;
  });
}

/** @param {string} file */
function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

function install() {
  console.log('Installing dependencies (npm ci) ...');
  if (runProgram('npm', ['ci', '--no-audit', '--no-fund'], true) === 0) return;
  fail('npm ci failed, see above. With a package registry in reach, run `npm install` and start this again.');
}

function build() {
  if (runProgram(process.execPath, [path.join('tools', 'build.mjs')], true) === 0) return;
  fail('The build failed, see above. Run it alone with `npm run build`.');
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}
