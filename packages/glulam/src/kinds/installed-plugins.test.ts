import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { reporters } from '@glulam/trainer';
import { definePlugin, type Plugin } from '@glulam/plugin';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { preset } from '../config/preset.js';
import { composeWhatFits, installedPlugins } from './installed-plugins.js';

const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'glulam-plugins-')));
const config = path.join(folder, 'glulam.config.json');

const reporter = (name: string, kind: string, changed: object = {}): Plugin =>
  definePlugin({
    name,
    contract: 2,
    register: (registry) =>
      registry.contribute(reporters, {
        create: () => ({
          kind,
          schema: z.strictObject({ every: z.int().default(5) }),
          open: () => () => {},
          ...changed,
        }),
      }),
  });

test('a plugin of the config has the version and folder of its package, one written into it has none', () => {
  const installed = path.join(folder, 'node_modules/glulam-plugin-reporter-bell');
  mkdirSync(installed, { recursive: true });
  writeFileSync(path.join(installed, 'package.json'), JSON.stringify({ version: '1.4.0', exports: './index.js' }));
  const { composition } = composeWhatFits([
    ...preset(),
    reporter('glulam-plugin-reporter-bell', 'bell'),
    reporter('mine', 'mine'),
  ]);
  const plugins = installedPlugins(composition, config);
  const bell = plugins.find(({ name }) => name === 'glulam-plugin-reporter-bell');
  expect(bell).toMatchObject({ version: '1.4.0', folder: installed, builtIn: false, contract: 2 });
  expect(bell!.kinds).toMatchObject([{ role: 'reporter', kind: 'bell', options: [{ name: 'every', default: 5 }] }]);
  expect(plugins.find(({ name }) => name === 'mine')).not.toHaveProperty('version');
  for (const { name } of preset())
    expect(plugins.find((plugin) => plugin.name === name)).toMatchObject({
      builtIn: true,
      version: expect.stringMatching(/^\d+\./) as string,
    });
});

test('plugins that cannot be used are told, and the others are there', () => {
  const thrower: Plugin = {
    name: 'thrower',
    contract: 2,
    register: () => {
      throw new Error('no luck');
    },
  };
  const { composition, faults } = composeWhatFits([
    ...preset(),
    ...preset().slice(-1), // listed twice: the first stays
    thrower,
    { ...thrower, name: 'later', contract: 3 },
    [reporter('lame', 'lame', { open: undefined }), false, reporter('fine', 'fine')],
  ]);
  expect(faults.map(({ code, plugin }) => [code, plugin])).toEqual([
    ['DUPLICATE_PLUGIN', '@glulam/source-hub'],
    ['REGISTER_FAILED', 'thrower'],
    ['CONTRACT_MISMATCH', 'later'],
    ['CREATE_FAILED', 'lame'],
  ]);
  expect(composition.plugins.map(({ name }) => name)).toEqual([...preset().map(({ name }) => name), 'fine']);
});
