import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compose, PluginError, type Composition, type Plugin, type PluginFault, type PluginList } from '@glulam/plugin';
import { preset } from '../config/preset.js';
import { describeOptions, type OptionDescription } from './describe-options.js';
import { toJsonSchema, type JsonSchema } from './json-schema.js';
import { roleOf, roles, type Kind } from './roles.js';

/** A kind that a config can choose. */
export interface InstalledKind {
  /** What it is: `adapter`, `engine`, `expansion` and so on; of a point that a plugin made, the point's id. */
  readonly role: string;
  /** The name by which a config chooses it. */
  readonly kind: string;
  /** In the order of its schema. */
  readonly options: readonly OptionDescription[];
  /** Absent where the kind has no options at all. */
  readonly schema?: JsonSchema;
}

/** A plugin with all that it brings. */
export interface InstalledPlugin {
  /** As the plugin says it: mostly its package's. */
  readonly name: string;
  /** Of the package of that name; absent where there is none, as of a plugin written in a config file. */
  readonly version?: string;
  /** The package's folder. */
  readonly folder?: string;
  /** It comes with `glulam`. */
  readonly builtIn: boolean;
  /** The version of the plugin contract that it was written for. */
  readonly contract: number;
  /** In the order in which it registers them. */
  readonly kinds: readonly InstalledKind[];
  /** Ids of the services that it provides. */
  readonly services: readonly string[];
}

/** The built-in plugins and those of a config; `file` is where packages are looked for. */
export function installedPlugins(composition: Composition, file: string): InstalledPlugin[] {
  const builtIn = new Set(preset().map(({ name }) => name));
  return composition.plugins.map(({ name, contract, provides, contributes }) => ({
    name,
    ...findPackage(name, builtIn.has(name) ? fileURLToPath(import.meta.url) : file),
    builtIn: builtIn.has(name),
    contract,
    kinds: contributes.map(({ point, kind }) => describeKind(composition, point, kind)),
    services: provides,
  }));
}

function describeKind(composition: Composition, point: string, kind: string): InstalledKind {
  const role = roles.find((each) => each.point.id === point);
  // Of a point that a plugin made, options are its own affair.
  const schema = role && composition.find<Kind>(role.point, kind)?.schema;
  if (schema === undefined) return { role: roleOf(point), kind, options: [] };
  return { role: roleOf(point), kind, options: describeOptions(schema), schema: toJsonSchema(schema) };
}

/** What Node would find from a file, without the package's consent: few export their package.json. */
function findPackage(name: string, from: string): Pick<InstalledPlugin, 'version' | 'folder'> {
  const own = path.join(import.meta.dirname, '../../package.json');
  const places = [from, path.resolve('config')]
    .flatMap((file) => createRequire(file).resolve.paths(name) ?? [])
    .map((place) => path.join(place, name, 'package.json'));
  const manifest = name === 'glulam' ? own : places.find(existsSync);
  if (manifest === undefined) return {};
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return { version, folder: path.dirname(manifest) };
}

/** The plugins that fit together, and what is wrong with the others: one that is broken does not hide the rest. */
export function composeWhatFits(plugins: PluginList): {
  readonly composition: Composition;
  readonly faults: readonly PluginFault[];
} {
  const faults: PluginFault[] = [];
  let rest = (plugins as readonly unknown[]).flat(Infinity).filter(Boolean) as Plugin[];
  for (;;) {
    try {
      return { composition: compose(rest), faults };
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      const broken = new Set(error.faults.map(({ plugin }) => plugin));
      const names = rest.map(nameOf);
      const twice = new Set(error.faults.filter(({ code }) => code === 'DUPLICATE_PLUGIN').map(({ plugin }) => plugin));
      const fitting = rest.filter(
        (_, i) => !broken.has(names[i]!) || (twice.has(names[i]!) && names.indexOf(names[i]!) === i),
      );
      // Faults of what has no name of its own ("a promise") cannot be told apart from here.
      if (fitting.length === rest.length) throw error;
      faults.push(...error.faults);
      rest = fitting;
    }
  }
}

const nameOf = (plugin: unknown): string => String((plugin as { readonly name?: unknown } | null)?.name);
