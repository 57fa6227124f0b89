import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { trustCommand } from '../commands/trust/trust-command.js';
import { evaluate } from '../commands/eval/evaluate.js';
import { loadAllPlugins, loadConfig } from '../config/load-config.js';
import { plan } from '../commands/plan/plan.js';
import { run } from '../commands/train/run.js';

const base = path.resolve(import.meta.dirname, '../../../../examples/models/tiny-mistral-gsm8k');
const data = path.resolve(import.meta.dirname, '../../../../examples/data/word-problems.train.jsonl');

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
export default () => ({ name: 'traced', contract: 2, register() {} });`,
  );
  const file = path.join(folder, config);
  writeFileSync(file, JSON.stringify({ base, data: { train: data }, plugins: ['./plugin.mjs'], ...fields }));
  return {
    folder,
    file,
    plugin,
    loads: () => (existsSync(trace) ? readFileSync(trace, 'utf8').split('\n').length - 1 : 0),
  };
}
const trust = (folder: string) =>
  trustCommand.run({ positional: [folder], options: {}, lists: {} }, new AbortController().signal);

test("a run folder's plugins do not run before the user agrees, and the refusal names them", async () => {
  const { folder, file, plugin, loads } = folderWithPlugin();
  for (const open of [() => loadConfig(file), () => loadAllPlugins(file)]) {
    await expect(open()).rejects.toMatchObject({
      code: 'PLUGINS_UNTRUSTED',
      message: expect.stringContaining(
        `  ${plugin}\nIf you trust who made this folder, run glulam trust ${folder}`,
      ) as string,
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

test("an agreement is for the content of a plugin file; the plugins of a config of the user's own may change", async () => {
  const { folder, file, plugin, loads } = folderWithPlugin();
  await trust(folder);
  await loadConfig(file);
  const text = readFileSync(plugin, 'utf8');
  writeFileSync(plugin, `${text}\n`);
  await expect(loadConfig(file)).rejects.toMatchObject({
    code: 'PLUGINS_UNTRUSTED',
    message: expect.stringContaining(`  ${plugin} (changed since you agreed)\n`) as string,
  });
  expect(loads()).toBe(1);
  await trust(folder);
  await expect(loadConfig(file)).resolves.toBeDefined();

  const out = path.join(home, 'own');
  const own = folderWithPlugin('glulam.config.json', { out, train: { steps: 1, batch: 1 }, reporters: [] });
  await run(own.file);
  writeFileSync(own.plugin, `${text}\n\n`);
  await expect(loadConfig(path.join(out, 'config.json'))).resolves.toBeDefined();
});

test('a plugin file without its ending is compared too', async () => {
  const { folder, file, plugin } = folderWithPlugin('config.json', { plugins: ['./plugin'] });
  renameSync(plugin, path.join(folder, 'plugin.ts'));
  await trust(folder);
  await expect(loadConfig(file)).resolves.toBeDefined();
  writeFileSync(path.join(folder, 'plugin.ts'), '');
  await expect(loadConfig(file)).rejects.toMatchObject({ code: 'PLUGINS_UNTRUSTED' });
});

test("a plugin that came with another folder is remembered with its content in a run of the user's own", async () => {
  const { folder, file, plugin } = folderWithPlugin('config.json', { train: { steps: 1, batch: 1 }, reporters: [] });
  await trust(folder);
  const out = path.join(home, 'own');
  await run(file, { overrides: { out } });
  await expect(loadConfig(path.join(out, 'config.json'))).resolves.toBeDefined();
  writeFileSync(plugin, '');
  await expect(loadConfig(path.join(out, 'config.json'))).rejects.toMatchObject({ code: 'PLUGINS_UNTRUSTED' });
});

describe("a stranger's run that leads outside of its folder", () => {
  const outside = () => path.join(home, 'victim');
  const short = { train: { steps: 1, batch: 1 }, reporters: [] };
  function strangersRun(fields: object) {
    const folder = path.join(home, 'foreign');
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, 'config.json');
    writeFileSync(file, JSON.stringify({ base, ...short, data: { train: data }, ...fields }));
    return { folder, file, resume: () => run(file, { resume: true, overrides: { out: folder } }) };
  }

  test.each([
    ['reporters[0].file', { reporters: [{ kind: 'jsonl', file: '../victim' }] }],
    ['reporters[0].file', { reporters: [{ kind: 'jsonl', file: 'below/../../victim' }] }],
    ['reporters[1].folder', () => ({ reporters: [{ kind: 'console' }, { kind: 'tensorboard', folder: outside() }] })],
    ['data.cache', () => ({ data: { train: data, cache: outside() } })],
    ['data.cache', { data: { train: data, cache: '../victim' } }],
  ])('by %s: %o', async (named, fields) => {
    const { folder, file, resume } = strangersRun(typeof fields === 'function' ? fields() : fields);
    await expect(resume()).rejects.toMatchObject({
      code: 'WRITES_UNTRUSTED',
      message: expect.stringMatching(
        `  ${named.replace(/[[\].]/g, '\\$&')}: ${outside()}\n.*glulam trust ${folder} once`,
      ) as string,
    });
    expect([existsSync(outside()), existsSync(path.join(folder, 'events.jsonl'))]).toEqual([false, false]);
    if (named === 'data.cache')
      for (const read of [() => plan(file), () => evaluate(file, { overrides: { 'data.heldOut': 2 } })])
        await expect(read()).rejects.toMatchObject({ code: 'WRITES_UNTRUSTED' });
    else await expect(plan(file)).resolves.toBeDefined();
    await trust(folder);
    await expect(resume()).resolves.toMatchObject({ steps: 1 });
    expect(existsSync(outside())).toBe(true);
  });

  test('by a link, whether its target is there or not', async () => {
    const { folder, resume } = strangersRun({});
    symlinkSync(outside(), path.join(folder, 'events.jsonl'));
    for (const make of [() => {}, () => writeFileSync(outside(), 'precious')]) {
      make();
      await expect(resume()).rejects.toMatchObject({
        code: 'WRITES_UNTRUSTED',
        message: expect.stringContaining(`  events.jsonl: ${outside()}\n`) as string,
      });
    }
    expect(readFileSync(outside(), 'utf8')).toBe('precious');
  });

  test('by out, where the user names no folder', async () => {
    const { folder, file } = strangersRun({ out: outside() });
    mkdirSync(path.join(folder, 'checkpoints'));
    const refusal = { code: 'WRITES_UNTRUSTED', message: expect.stringMatching(/  out: .*\n.*--out/) as string };
    await expect(run(file)).rejects.toMatchObject(refusal);
    await expect(plan(file)).resolves.toBeDefined();
    await expect(run(file, { overrides: { out: path.join(home, 'own') } })).resolves.toMatchObject({ steps: 1 });
  });

  test('is continued with values that the user gives', async () => {
    const { folder, file } = strangersRun({ reporters: [{ kind: 'jsonl', file: '../victim' }] });
    const overrides = { out: folder, reporters: [] };
    await expect(run(file, { resume: true, overrides })).resolves.toMatchObject({ steps: 1 });
    expect(existsSync(outside())).toBe(false);
  });
});

test("a run of the user's own goes on where it writes outside of its folder", async () => {
  const [out, log] = [path.join(home, 'own'), path.join(home, 'log.jsonl')];
  const cache = path.join(home, 'cache');
  const config = {
    base,
    data: { train: data, cache },
    train: { steps: 1, batch: 1 },
    reporters: [{ kind: 'jsonl', file: log }],
    out,
  };
  await run(config);
  const { length } = readFileSync(log);
  await run(path.join(out, 'config.json'), { resume: true, overrides: { out } });
  expect(readFileSync(log).length).toBeGreaterThan(length);
});

test('glulam trust has no options, and says so first', async () => {
  const args = { positional: [], options: { list: true }, lists: {} } as const;
  await expect(trustCommand.run(args, new AbortController().signal)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('no options, got --list') as string,
  });
});
