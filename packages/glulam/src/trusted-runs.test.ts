import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { trustCommand } from './commands/trust.js';
import { loadAllPlugins, loadConfig } from './load-config.js';
import { run } from './run.js';

const base = path.resolve(import.meta.dirname, '../../../examples/models/tiny-mistral-gsm8k');
const data = path.resolve(import.meta.dirname, '../../../examples/data/word-problems.train.jsonl');

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'glulam-trust-'));
  vi.stubEnv('XDG_CONFIG_HOME', path.join(home, 'config'));
  return () => vi.unstubAllEnvs();
});

/** A folder with a plugin that leaves a trace when it is loaded, and a config that names it. */
function folderWithPlugin(config = 'config.json', fields: object = {}) {
  const folder = path.join(home, 'run');
  const trace = path.join(home, 'trace');
  mkdirSync(folder, { recursive: true });
  const plugin = path.join(folder, 'plugin.mjs');
  writeFileSync(
    plugin,
    `import { appendFileSync } from 'node:fs';
appendFileSync(${JSON.stringify(trace)}, 'loaded\\n');
export default () => ({ name: 'traced', contract: 1, register() {} });`,
  );
  const file = path.join(folder, config);
  writeFileSync(file, JSON.stringify({ base, data: { train: data }, plugins: ['./plugin.mjs'], ...fields }));
  return { folder, file, plugin, loads: () => (existsSync(trace) ? readFileSync(trace, 'utf8').split('\n').length - 1 : 0) }; // prettier-ignore
}
const trust = (folder: string) =>
  trustCommand.run({ positional: [folder], options: {}, lists: {} }, new AbortController().signal);

test("a run folder's plugins do not run before the user agrees, and the refusal names them", async () => {
  const { folder, file, plugin, loads } = folderWithPlugin();
  for (const open of [() => loadConfig(file), () => loadAllPlugins(file)]) {
    await expect(open()).rejects.toMatchObject({
      code: 'PLUGINS_UNTRUSTED',
      message: expect.stringContaining(`  ${plugin}\nIf you trust who made this folder, run glulam trust ${folder}`) as string, // prettier-ignore
    });
  }
  expect(loads()).toBe(0);
  await trust(folder);
  expect(loads()).toBe(0);
  await expect(loadConfig(file)).resolves.toMatchObject({ config: { plugins: [plugin] } });
  expect(loads()).toBe(1);
});

test('--plugins takes the place of those that the folder names', async () => {
  const { file, plugin, loads } = folderWithPlugin();
  await loadConfig(file, { plugins: [] });
  expect(loads()).toBe(0);
  await loadConfig(file, { plugins: [plugin] });
  expect(loads()).toBe(1);
});

test('an agreement is for a folder, what lies below it, and the plugins that it named', async () => {
  const { folder, file } = folderWithPlugin();
  await trust(folder);
  writeFileSync(file, JSON.stringify({ base, data: { train: data }, plugins: ['./plugin.mjs', 'another-package'] }));
  await expect(loadConfig(file)).rejects.toMatchObject({
    code: 'PLUGINS_UNTRUSTED',
    message: expect.not.stringContaining('plugin.mjs') as string,
  });
  const below = path.join(folder, 'runs/seed-0/config.json');
  mkdirSync(path.dirname(below), { recursive: true });
  writeFileSync(below, JSON.stringify({ base, data: { train: data }, plugins: ['../../plugin.mjs'] }));
  await expect(loadConfig(below)).resolves.toBeDefined();
});

test("a config of the user's own loads its plugins, and a run of it is trusted from then on", async () => {
  const out = path.join(home, 'own');
  const { file, loads } = folderWithPlugin('glulam.config.json', { out, train: { steps: 1, batch: 1 }, reporters: [] });
  await run(file);
  await loadConfig(path.join(out, 'config.json'));
  expect(loads()).toBeGreaterThan(0);
});

test('a list of trusted folders that cannot be read is named, and nothing is trusted', async () => {
  const { folder, file } = folderWithPlugin();
  await trust(folder);
  const list = path.join(home, 'config/glulam/trusted-runs.json');
  writeFileSync(list, '{');
  await expect(loadConfig(file)).rejects.toMatchObject({ message: expect.stringContaining(list) as string });
});

test('a configuration that cannot be written does not keep a run from training', async () => {
  writeFileSync(path.join(home, 'file'), '');
  vi.stubEnv('XDG_CONFIG_HOME', path.join(home, 'file'));
  const warnings: string[] = [];
  const out = path.join(home, 'own');
  const { file } = folderWithPlugin('glulam.config.json', { out, train: { steps: 1, batch: 1 }, reporters: [] });
  await run(file, { onEvent: (event) => void (event.type === 'warning' && warnings.push(event.message)) });
  expect(warnings.join('\n')).toContain('later commands will ask before they load the plugins of');
});
