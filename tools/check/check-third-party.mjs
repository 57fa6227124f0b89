// Builds and tests the plugins of examples/third-party as their authors would, far from the workspace: every package comes
// from its tarball. Then uses both of them in one run, by name. Packages must be built. `npm run check:third-party`
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inInstalledWorkspace, npmInstall } from '../release/installed.mjs';

const root = path.join(import.meta.dirname, '../..');
const examples = path.join(root, 'examples/third-party');

/**
 * @param {string} home where all packages are installed
 * @returns {{ plugins: string[], faults: string[] }} what failed, with its output
 */
export function checkThirdParty(home) {
  const folder = path.join(home, 'third-party');
  mkdirSync(folder);
  const names = readdirSync(examples).filter((name) => name.startsWith('glulam-'));
  /** @type {string[]} */
  const faults = [];
  for (const name of names) {
    const place = path.join(folder, name);
    const skipped = [path.join(examples, name, 'node_modules'), path.join(examples, name, 'dist')];
    cpSync(path.join(examples, name), place, { recursive: true, filter: (from) => !skipped.includes(from) });
    for (const args of [['run', 'build'], ['test'], ['pack', '--pack-destination', folder]]) {
      const failed = step(place, 'npm', args);
      faults.push(...failed);
      if (failed.length > 0) break;
    }
  }
  if (faults.length > 0) return { plugins: names, faults };

  const plugins = names.map((name) => JSON.parse(readFileSync(path.join(folder, name, 'package.json'), 'utf8')));
  npmInstall(
    home,
    plugins.map(({ name, version }) => path.join(folder, `${name}-${version}.tgz`)),
  );
  const seedOss = path.join(folder, 'glulam-family-seed-oss');
  const config = {
    ...JSON.parse(readFileSync(path.join(seedOss, 'example/glulam.config.json'), 'utf8')),
    plugins: plugins.map(({ name }) => name),
    base: path.join(seedOss, 'golden/expanded/base'),
    adapter: { kind: 'ia3' },
    data: { train: { file: path.join(seedOss, 'example/sums.jsonl'), format: { kind: 'text' } } },
    out: 'run',
  };
  writeFileSync(path.join(folder, 'glulam.config.json'), JSON.stringify(config));
  const glulam = (/** @type {string[]} */ ...args) => step(folder, path.join(home, 'node_modules/.bin/glulam'), args);
  return {
    plugins: names,
    faults: [...glulam('train', 'glulam.config.json'), ...glulam('merge', 'run', '--out', 'merged')],
  };
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
  const { plugins, faults } = await inInstalledWorkspace(checkThirdParty);
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
  else console.log(`${plugins.join(', ')}: built, tested and used from packed packages alone`);
}
