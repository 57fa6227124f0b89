// Builds and tests the plugins of examples/third-party as their authors would, far from the workspace: every package comes
// from its tarball. Then uses both of them in one run, by name. Packages must be built. `npm run check:third-party`
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { packWorkspace, tarballsByName } from '../release/packed.mjs';

const root = path.join(import.meta.dirname, '../..');
const examples = path.join(root, 'examples/third-party');

/**
 * @param {Record<string, string>} packed tarballs by the packages' names
 * @returns {{ plugins: string[], faults: string[] }} what failed, with its output
 */
export function checkThirdParty(packed) {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'glulam-third-party-')));
  try {
    return checkIn(folder, packed);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} folder @param {Record<string, string>} packed */
function checkIn(folder, packed) {
  const tarballs = path.join(folder, 'tarballs');
  mkdirSync(tarballs);
  const names = readdirSync(examples).filter((name) => name.startsWith('glulam-'));
  const plugins = names.map((name) => JSON.parse(readFileSync(path.join(examples, name, 'package.json'), 'utf8')));
  const install = (more = {}) => {
    const dependencies = { ...packed, ...toolsOf(plugins), ...more };
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
    return step(folder, 'npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']);
  };
  let faults = install();
  if (faults.length > 0) return { plugins: names, faults };

  for (const name of names) {
    const place = path.join(folder, 'plugins', name);
    const skipped = [path.join(examples, name, 'node_modules'), path.join(examples, name, 'dist')];
    cpSync(path.join(examples, name), place, { recursive: true, filter: (from) => !skipped.includes(from) });
    for (const args of [['run', 'build'], ['test'], ['pack', '--pack-destination', tarballs]]) {
      const failed = step(place, 'npm', args);
      faults.push(...failed);
      if (failed.length > 0) break;
    }
  }
  if (faults.length > 0) return { plugins: names, faults };

  const own = plugins.map(({ name, version }) => [name, path.join(tarballs, `${name}-${version}.tgz`)]);
  faults = install(Object.fromEntries(own));
  if (faults.length > 0) return { plugins: names, faults };
  const qwen2 = path.join(folder, 'plugins/glulam-family-qwen2');
  const config = {
    ...JSON.parse(readFileSync(path.join(qwen2, 'example/glulam.config.json'), 'utf8')),
    plugins: plugins.map(({ name }) => name),
    base: path.join(qwen2, 'golden/expanded/base'),
    adapter: { kind: 'ia3' },
    data: { train: { file: path.join(qwen2, 'example/sums.jsonl'), format: { kind: 'text' } } },
    out: 'run',
  };
  writeFileSync(path.join(folder, 'glulam.config.json'), JSON.stringify(config));
  const glulam = (/** @type {string[]} */ ...args) => step(folder, path.join(folder, 'node_modules/.bin/glulam'), args);
  faults = [...glulam('train', 'glulam.config.json'), ...glulam('merge', 'run', '--out', 'merged')];
  return { plugins: names, faults };
}

/** What the plugins are built and tested with, of the registry. @param {any[]} plugins */
function toolsOf(plugins) {
  const wanted = plugins.flatMap(({ dependencies, devDependencies }) =>
    Object.entries({ ...dependencies, ...devDependencies }),
  );
  return Object.fromEntries(wanted.filter(([name]) => name !== 'glulam' && !name.startsWith('@glulam/')));
}

/** @param {string} cwd @param {string} program @param {string[]} args @returns {string[]} */
function step(cwd, program, args) {
  const env = { ...process.env, GLULAM_CACHE: path.join(cwd, '.cache') };
  // vitest's own variables would make the plugins' tests part of the test run that this is called from.
  for (const name of Object.keys(env)) if (/^(VITEST|NODE_ENV|npm_)/.test(name)) delete env[name];
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status === 0) return [];
  return [
    `${path.basename(cwd)}: ${path.basename(program)} ${args.join(' ')} failed\n${stdout}\n${stderr}\n${error ?? ''}`,
  ];
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const folder = mkdtempSync(path.join(tmpdir(), 'glulam-pack-'));
  try {
    const { plugins, faults } = checkThirdParty(tarballsByName(folder, packWorkspace(folder)));
    for (const fault of faults) console.error(fault);
    if (faults.length > 0) process.exitCode = 1;
    else console.log(`${plugins.join(', ')}: built, tested and used from packed packages alone`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
