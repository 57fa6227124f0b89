import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { loadConfig, plan } from 'glulam';
import { runConfigSchema } from '@glulam/trainer';
import { expect, test } from 'vitest';
import { docs, pages } from '../../docs/.vitepress/linked-files.js';
import { sidebar } from '../../docs/.vitepress/navigation.js';
import { runShared } from '../support/cli.js';

const root = path.resolve(docs, '..');
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');
const temporary = (): string => mkdtempSync(path.join(tmpdir(), 'glulam-docs-'));
const texts = pages().map((name) => ({ name: `docs/${name}`, text: read(`docs/${name}`) }));

/** What pages take from files: `<<< @/snippets/x.ts#region`, from docs/. */
const snippets = texts.flatMap(({ name, text }) =>
  [...text.matchAll(/^<<< @\/([^#\s]+)(?:#(\S+))?/gm)].map(([, file, region]) => ({
    name,
    file: path.join('docs', file!),
    region,
  })),
);

/** Blocks of code that stand in a page itself. */
const blocks = [...texts, { name: 'README.md', text: read('README.md') }].flatMap(({ name, text }) =>
  [...text.matchAll(/^```(\w*).*\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({
    name,
    language: language!,
    code: code!,
  })),
);

const configs = [...new Set(snippets.map(({ file }) => file))].filter((file) => /\.config\.(ts|json)$/.test(file));
const run = promisify(execFile);

test('the site is built, without a dead link', async () => {
  const outDir = temporary();
  await run(process.execPath, [
    path.join(root, 'node_modules/vitepress/bin/vitepress.js'),
    'build',
    docs,
    '--outDir',
    outDir,
  ]);
  const built = readdirSync(outDir, { recursive: true, encoding: 'utf8' });
  for (const { name } of texts) {
    const html = path.relative('docs', name).replace(/md$/, 'html');
    expect(built).toContain(html);
    // A region that VitePress does not know gives the whole file.
    expect(readFileSync(path.join(outDir, html), 'utf8'), html).not.toContain('endregion');
  }
  expect(built).toContain('files/examples-pipelines-several-adapters-ts.html');
});

test('every page has its place in the navigation', () => {
  const linked = [...JSON.stringify(sidebar).matchAll(/"link":"\/([^"]*)"/g)].map(([, link]) =>
    link!.endsWith('/') ? `${link}index.md` : `${link}.md`,
  );
  expect(linked.sort()).toEqual(
    pages()
      .filter((name) => name !== 'index.md')
      .sort(),
  );
});

test('code in pages comes from files, which exist and have the regions', () => {
  expect(snippets.length).toBeGreaterThan(20);
  for (const { name, file, region } of snippets) {
    const text = read(file);
    if (region !== undefined) expect(text, `${name}: ${file}`).toContain(` region ${region}\n`);
  }
  const inline = blocks.filter(({ name, language }) => name !== 'README.md' && !['sh', ''].includes(language));
  expect(inline.map(({ name, code }) => `${name}: move this to docs/snippets, where it is tested:\n${code}`)).toEqual(
    [],
  );
});

test('snippets are run: plugins by their tests, the session below, configs by being loaded', () => {
  const tested = (file: string): boolean =>
    configs.includes(file) ||
    file.startsWith('docs/snippets/tutorial/') ||
    file.endsWith('.test.ts') ||
    readdirSync(path.join(root, path.dirname(file))).includes(path.basename(file).replace(/ts$/, 'test.ts'));
  expect(snippets.filter(({ file }) => !tested(file))).toEqual([]);
});

// The tutorial's base is copied by its session; the Hub's is nobody's to fetch here.
const elsewhere = ['docs/snippets/hub.config.ts', 'docs/snippets/tutorial/glulam.config.ts'];

test.each(elsewhere)('%s is a config', async (file) => {
  const { config } = await loadConfig(path.join(root, file));
  expect(config.expansion?.kind).toBe('layer_map');
});

test.each(configs.filter((file) => !elsewhere.includes(file)))('%s is a plan', async (file) => {
  const { physicalLayers, layers, bytes } = await plan(path.join(root, file));
  expect(layers.length).toBeGreaterThan(physicalLayers);
  expect(bytes.peak).toBeGreaterThan(bytes.process);
});

test('the config with the guides’ plugins trains what they say', async () => {
  const { layers, parameters } = await plan(path.join(docs, 'snippets/plugins/glulam.config.ts'));
  expect(layers).toHaveLength(12);
  // A factor for each output of the seven linear layers of four repeats.
  expect(parameters.trainable).toBe(4 * (2 * 192 + 2 * 64 + 2 * 512 + 192));
});

test('the config in the README is the quickstart’s', () => {
  const plain = (code: string): string => code.replace(/\/\/.*$/gm, '').replace(/\s+|,(?=\s*[}\]])/g, '');
  const shown = blocks.filter(({ name, language }) => name === 'README.md' && language === 'ts');
  expect(shown.map(({ code }) => plain(code))).toEqual([plain(read('examples/quickstart/glulam.config.ts'))]);
});

test('commands in pages are commands, with options that they have', async () => {
  const lines = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ name, code }) =>
      [...code.replaceAll('\\\n', ' ').matchAll(/^glulam (\w+)(.*)$/gm)].map(([, command, rest]) => ({
        place: `${name}: glulam ${command}`,
        command: command!,
        options: [...rest!.replace(/#.*/, '').matchAll(/ --([\w-]+)/g)].map(([, option]) => option!),
      })),
    );
  expect(lines.length).toBeGreaterThan(10);
  const commands = [...new Set(lines.map(({ command }) => command))];
  const helps = new Map(
    await Promise.all(
      commands.map(async (command) => {
        const { out } = await runShared([command, '--help'], { cwd: root });
        return [command, out] as const;
      }),
    ),
  );
  const keys = Object.keys(runConfigSchema.shape);
  for (const { place, command, options } of lines) {
    const help = helps.get(command)!;
    expect(help, place).toContain(`glulam ${command}`);
    for (const option of options)
      expect(help.includes(`--${option}`) || keys.includes(option), `${place} --${option}`).toBe(true);
  }
});

test('the tutorial’s session', async () => {
  const checkout = temporary();
  for (const name of ['node_modules', 'examples', 'docs'])
    symlinkSync(path.join(root, name), path.join(checkout, name));
  const { stdout } = await run('bash', ['-euo', 'pipefail', path.join(docs, 'snippets/tutorial/session.sh')], {
    cwd: checkout,
    env: { ...process.env, CI: '' },
  });
  expect(stdout).toContain('8 physical layers as 12 virtual layers');
  expect(stdout).toContain('325,632');
  const made = readdirSync(path.join(checkout, 'first-run'), { recursive: true });
  const expected = ['runs/first/adapter/adapter_model.safetensors', 'merged/model.safetensors', 'first.gguf'];
  expect(made).toEqual(expect.arrayContaining([...expected, 'runs/ablation/report.html']));
});
