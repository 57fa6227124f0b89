import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expandHome, quoteValue } from '@glulam/files';
import type { Plugin, PluginList } from '@glulam/plugin';
import { configError, describeFault, type ConfigFault } from '@glulam/trainer';
import { createJiti } from 'jiti';
import { GlulamError } from '../errors.js';
import { awaitModule } from './await-module.js';
import { describeLoadError } from './describe-load-error.js';

/** Whether the name of a plugin is that of a file, and not of a package. */
export const isPluginFile = (name: string): boolean => name.startsWith('.') || path.isAbsolute(name);

/** The file that a plugin's name leads to, which may lack its ending; undefined where there is none. */
export function pluginFile(name: string, folder: string): string | undefined {
  const found = createJiti(path.join(folder, 'config')).esmResolve(name, { try: true });
  return found?.startsWith('file:') === true ? fileURLToPath(found) : found;
}

/** Of a config's plugins those that are named, a path as it is from anywhere; values cannot be written down. */
export const namesAmong = (plugins: unknown, folder: string): string[] =>
  (Array.isArray(plugins) ? plugins : [])
    .filter((plugin) => typeof plugin === 'string')
    .map(expandHome)
    .map((name) => (name.startsWith('.') ? path.resolve(folder, name) : name));

/** Plugins whose paths are relative to a folder, with those absolute; what is no list is left as it is. */
export const absolutePlugins = (plugins: unknown, folder: string): unknown =>
  Array.isArray(plugins)
    ? plugins.map((each: unknown) =>
        typeof each === 'string' && each.startsWith('.') ? path.resolve(folder, each) : each,
      )
    : plugins;

/**
 * Plugins of a config: values as they are; names are packages or files, found from the config's folder or the working
 * folder.
 *
 * @param recordedBy the config.json of the run that names them
 * @throws GlulamError PLUGIN_UNLOADABLE with what is wrong with each
 */
export async function loadPlugins(plugins: unknown, file: string, recordedBy?: string): Promise<PluginList> {
  if (!Array.isArray(plugins)) throw configError([pluginsFault(plugins)].map((fault) => describeFault(fault)));
  const jiti = createJiti(file);
  const besides = createJiti(path.resolve('config')); // for a run folder elsewhere
  const faults: { readonly name: string; readonly message: string; readonly cause?: unknown }[] = [];
  const load = async (name: string): Promise<Plugin | undefined> => {
    let loaded: unknown;
    try {
      const from = jiti.esmResolve(name, { try: true }) === undefined ? besides : jiti;
      loaded = await awaitModule(from.import(name));
    } catch (cause) {
      faults.push({ name, message: describeMissing(name, file, cause), cause });
      return undefined;
    }
    const factory = defaultOf(loaded);
    if (typeof factory !== 'function') {
      faults.push({ name, message: describeExports(loaded) });
      return undefined;
    }
    try {
      const plugin = (factory as () => unknown)();
      if (typeof plugin === 'object' && plugin !== null && !(plugin instanceof Promise)) return plugin as Plugin;
      const got = plugin instanceof Promise ? 'a promise' : String(plugin);
      faults.push({ name, message: `its factory returns ${got}; expected the object that definePlugin gives` });
      if (plugin instanceof Promise) plugin.catch(() => undefined); // reported here
    } catch (cause) {
      faults.push({ name, message: `its factory failed: ${describeLoadError(cause).message}`, cause });
    }
    return undefined;
  };
  const loaded = await Promise.all(
    plugins.map((plugin: unknown) =>
      typeof plugin === 'string' ? load(expandHome(plugin)) : Promise.resolve(plugin as Plugin),
    ),
  );
  if (faults.length === 0) return loaded;
  const order = plugins.map((plugin: unknown) => (typeof plugin === 'string' ? expandHome(plugin) : ''));
  faults.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  const lines = faults.map(({ name, message }) =>
    faults.length === 1 ? `the plugin ${name} cannot be loaded: ${message}` : `  ${name}: ${message}`,
  );
  const names = plugins.filter((plugin: unknown) => typeof plugin === 'string');
  const recorded =
    recordedBy === undefined
      ? ''
      : `\n${recordedBy} names the ${names.length === 1 ? 'plugin' : 'plugins'} ${names.join(', ')}. ` +
        `Where a plugin is elsewhere now, name it yourself: --plugins '${JSON.stringify(names)}'`;
  throw new GlulamError(
    'PLUGIN_UNLOADABLE',
    `${faults.length === 1 ? '' : `${faults.length} plugins cannot be loaded:\n`}${lines.join('\n')}${recorded}`,
    { cause: faults.find(({ cause }) => cause !== undefined)?.cause },
  );
}

/** Of a key `plugins` that is no list. */
export const pluginsFault = (plugins: unknown): ConfigFault => ({
  path: ['plugins'],
  problem: `: expected a list, got ${quoteValue(plugins) ?? typeof plugins}`,
});

function describeMissing(name: string, file: string, cause: unknown): string {
  const { message, missing } = describeLoadError(cause);
  if (missing === undefined) return message;
  // The plugin itself, or something that it imports.
  if (missing.name !== name)
    return isPluginFile(missing.name) ? message : `${message}; install it: npm install ${packageOf(missing.name)}`;
  return isPluginFile(name)
    ? `there is no file ${path.resolve(path.dirname(file), name)}`
    : `no package of this name is installed; install it: npm install ${name}; the name of a file begins with ./`;
}

const packageOf = (name: string): string =>
  name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');

/** The default export, of a CommonJS module one within another. */
function defaultOf(loaded: unknown): unknown {
  if (typeof loaded === 'function') return loaded;
  const { default: first } = (loaded ?? {}) as { readonly default?: unknown };
  const { default: second } = (first ?? {}) as { readonly default?: unknown };
  return second ?? first;
}

function describeExports(loaded: unknown): string {
  const expected = 'expected export default () => definePlugin({ ... })';
  const given = defaultOf(loaded);
  if (typeof given === 'object' && given !== null && 'register' in given)
    return `its default export is the plugin itself, not a function that makes it; ${expected}`;
  // A module without a default export comes as its own.
  const names = Object.keys(loaded ?? {}).filter((name) => name !== 'default' && name !== '__esModule');
  return `its default export is no function; it exports ${names.join(', ') || 'nothing else'}; ${expected}`;
}
