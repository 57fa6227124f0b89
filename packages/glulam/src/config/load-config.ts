import { existsSync } from 'node:fs';
import path from 'node:path';
import { ablationSchema, searchSchema, type AblationSettings, type SearchSettings } from '@glulam/ablation';
import { expandHome, hasCheckpointFiles, quoteValue } from '@glulam/files';
import { compose, point, type Composition, type PluginList } from '@glulam/plugin';
import { mapInputs, runConfigSchema, sources, type RunConfig } from '@glulam/trainer';
import { callTypes, checkOptions, checkSource, flag, type OptionTypes } from './check-options.js';
import { choiceFaults, configFaults, refuseFaults } from './config-faults.js';
import { absolutePlugins, loadPlugins, namesAmong } from './load-plugins.js';
import { readConfigFile } from './read-config-file.js';
import { checkConfigFile } from './read-config-text.js';
import type { GlulamConfig } from './define-config.js';
import { GlulamError } from '../errors.js';
import { preset, type CoreOptions } from './preset.js';
import { takeFromCode } from './take-from-code.js';
import { checkTrusted, type RunAsks } from '../runs/trusted-runs.js';
import { isInside, linksOutside, realPlace, writesOutside, type OutsideWrite } from '../runs/writes-outside.js';

/** A config that was read and checked, with its plugins composed. */
export interface LoadedConfig {
  /** Whole, with defaults filled in and paths absolute. */
  readonly config: RunConfig;
  /** The built-in plugins and the config's own. */
  readonly composition: Composition;
  /** What `glulam ablate` compares. */
  readonly ablation: AblationSettings;
  /** What `glulam search` ranks. */
  readonly search: SearchSettings;
  /** The config.json of a run that it was read from, the plugins named in it, and what it leads to outside of its folder. */
  readonly recorded?: ({ readonly file: string } & RunAsks) | undefined;
}

/** Options of `loadConfig`. */
export interface LoadOptions {
  /** Aborting ends the reading of rows that are passed in code. */
  readonly signal?: AbortSignal | undefined;
  /** Reporters are opened only where the config names them; default: false, the console reporter is. */
  readonly quiet?: boolean | undefined;
  /** A listener or reporter that failed and was cut off; default: a `warning` event. */
  readonly onFault?: CoreOptions['onFault'];
}

const overrideTypes = { overrides: callTypes.overrides, folder: callTypes.folder };
const loadTypes: OptionTypes<LoadOptions> = { signal: callTypes.signal, quiet: flag, onFault: callTypes.onFault };

/**
 * Read a config file (.ts, .js, .mjs, .json, .yaml, .yml) or take a record, apply overrides, check it whole, and compose
 * its plugins. Paths are relative to the file, of a record to `folder`.
 *
 * @param overrides values by their paths, such as `{ 'train.steps': 10 }`; paths of files and folders among them are
 *   relative to `folder`
 * @param folder default: the working folder
 * @throws GlulamError CONFIG_NOT_FOUND, CONFIG_UNREADABLE, PLUGIN_UNLOADABLE, PLUGINS_UNTRUSTED; TrainerError
 *   CONFIG_INVALID with all faults, DATA_INVALID of rows in code; PluginError PLUGINS_INVALID
 */
export async function loadConfig(
  source: string | GlulamConfig,
  overrides: Readonly<Record<string, unknown>> = {},
  folder = process.cwd(),
  options: LoadOptions = {},
): Promise<LoadedConfig> {
  const example = "loadConfig('glulam.config.ts', { 'train.steps': 10 }, '.', { quiet: true })";
  checkSource('loadConfig', source);
  checkOptions('loadConfig', { overrides, folder }, overrideTypes, { example });
  checkOptions('loadConfig', options, loadTypes, { example });
  const given = { values: overrides, folder };
  if (typeof source !== 'string') return composeConfig({ ...source }, given, path.join(folder, 'config'), options);
  return composeConfig(await readConfig(source), given, path.resolve(source), options);
}

/** The built-in plugins and those that a config file names; nothing else in it is looked at. */
export async function loadAllPlugins(file: string): Promise<PluginList> {
  const { plugins = [] } = await readConfig(file);
  if (isRunConfig(file)) checkTrusted(path.dirname(file), namesAmong(plugins, path.dirname(file)));
  return [...preset(), ...(await loadPlugins(plugins, path.resolve(file)))];
}

/** What the config.json of a run folder asks for; nothing of it is loaded or checked. */
export async function asksOf(file: string): Promise<RunAsks> {
  const { plugins = [], ...fields } = await readConfig(file);
  const folder = path.dirname(path.resolve(file));
  return {
    plugins: namesAmong(plugins, folder),
    writes: [...writesOutside(fields, { folder }), ...linksOutside(folder)],
  };
}

/** What of a run's config.json, and not of the user's own words, leads outside of its folder. */
function writesRecorded(
  source: Readonly<Record<string, unknown>>,
  overrides: readonly string[],
  { folder, out }: { readonly folder: string; readonly out: string },
): OutsideWrite[] {
  const isGiven = (key: string): boolean =>
    overrides.some((name) => name === key || key.startsWith(`${name}.`) || name.startsWith(`${key}.`));
  const { reporters, data } = source;
  const fields = { reporters: isGiven('reporters') ? [] : reporters, data: isGiven('data.cache') ? {} : data };
  const place = realPlace(out);
  // Relative to the working folder, `out` is as harmless as the default.
  const isOutside =
    source['out'] !== undefined &&
    !isGiven('out') &&
    holdsRun(folder) &&
    ![folder, '.'].some((each) => isInside(place, each));
  return [...writesOutside(fields, { folder, out }), ...(isOutside ? [{ named: 'out', to: place }] : [])];
}

const holdsRun = (folder: string): boolean =>
  ['events.jsonl', 'adapter', 'checkpoints', 'runs', 'results.jsonl'].some((name) =>
    existsSync(path.join(folder, name)),
  );

/** `config.json` is the name of what runs write. It may come from anybody, so its plugins wait for the user's agreement. */
const isRunConfig = (file: string): boolean => path.basename(file) === 'config.json';

async function readConfig(file: string): Promise<Record<string, unknown>> {
  const absolute = path.resolve(file);
  checkConfigFile(file);
  const ofBase = path.basename(absolute) === 'config.json' && isBaseFolder(path.dirname(absolute));
  let raw: unknown;
  try {
    raw = await readConfigFile(absolute);
  } catch (cause) {
    // What the parser says, without the file's name again.
    throw ofBase ? brokenBase(file, ((cause as Error).cause as Error).message.split('\n')[0]!, cause) : cause;
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    if (ofBase)
      throw brokenBase(
        file,
        raw === undefined
          ? 'it is empty'
          : `it holds ${Array.isArray(raw) ? 'a list' : JSON.stringify(raw)}, expected an object`,
      );
    throw new GlulamError('CONFIG_UNREADABLE', `${file} ${describeNoConfig(raw, path.extname(file))}`);
  }
  const config = raw as Record<string, unknown>;
  const isOurs = config['base'] !== undefined || config['data'] !== undefined;
  if (ofBase && !isOurs && typeof config['model_type'] !== 'string') throw brokenBase(file, 'it names no model_type');
  if (!isOurs && typeof config['model_type'] === 'string') {
    throw new GlulamError(
      'CONFIG_UNREADABLE',
      `${file} is the config.json of a base checkpoint (model_type ${JSON.stringify(config['model_type'])}), not a config of Glulam's; ` +
        `write one with base: ${JSON.stringify(path.dirname(file))}. The commands that take a base by itself, such as generate and eval, want its folder`,
    );
  }
  return config;
}

/** What a file without a config's keys holds, and what is expected of it. */
function describeNoConfig(raw: unknown, extension: string): string {
  if (/^\.m?[tj]s$/.test(extension))
    return `exports ${raw === undefined ? 'no default' : `${describeValue(raw)} as its default`}; expected a config: export default defineConfig({ base: ..., data: { train: ... } })`;
  const example =
    extension === '.json' ? '{ "base": "...", "data": { "train": "..." } }' : 'base: ... and data: { train: ... }';
  const space = typeof raw === 'string' && extension !== '.json' ? ', each key with a colon and a space after it' : '';
  return `${raw === undefined ? 'is empty' : `holds ${describeValue(raw)}`}; expected a config with at least ${example}${space}`;
}

const describeValue = (value: unknown): string =>
  Array.isArray(value)
    ? 'a list'
    : value === null
      ? 'null'
      : `the ${typeof value === 'string' ? 'text' : typeof value} ${quoteValue(value)}`;

/** Whether a folder has files of a base checkpoint, whatever its config.json is. */
export function isBaseFolder(folder: string): boolean {
  return hasCheckpointFiles(folder) || existsSync(path.join(folder, 'tokenizer.json'));
}

const brokenBase = (file: string, fault: string, cause?: unknown): GlulamError =>
  new GlulamError(
    'CONFIG_UNREADABLE',
    `${file} is the config.json of a base checkpoint, since the checkpoint's other files are beside it, and it is damaged: ${fault}. Download it again`,
    { cause },
  );

/** Values laid over a config's, and the folder that paths among them are relative to. */
interface Overrides {
  readonly values: Readonly<Record<string, unknown>>;
  readonly folder: string;
}

async function composeConfig(
  { plugins: own = [], $schema: _, ...source }: Record<string, unknown>,
  asked: Overrides,
  file: string,
  { signal, quiet = false, onFault }: LoadOptions,
): Promise<LoadedConfig> {
  const { plugins: chosen = own, ...overrides } = asked.values;
  const { fields, given } = await takeFromCode(source, signal);
  // Schemas and copies go down by recursion.
  if (isDeep(fields))
    throw new GlulamError(
      'CONFIG_UNREADABLE',
      `${file} nests lists or records deeper than ${deepest}; a config needs ten at most`,
    );
  const folder = path.dirname(file);
  const plugins = chosen === own ? own : absolutePlugins(chosen, asked.folder);
  const written = withOverrides(fields, overrides);
  const origin = { file, overrides: Object.keys(overrides), fields };
  const faults = configFaults(written, plugins, (id) =>
    compose(preset())
      .all(point<{ readonly kind: string }>(id))
      .map(({ kind }) => kind),
  );
  // All that can be known before plugins load is said at once; they are not loaded for a config that cannot be used.
  if (faults.length > 0) {
    const isWhole = Array.isArray(plugins) && plugins.length === 0;
    refuseFaults([...faults, ...choiceFaults(written, compose(preset()), { all: isWhole })], origin);
  }
  // Named packages belong to what a run is, so that it can be resumed from its folder.
  const names = namesAmong(plugins, folder);
  const isRecorded = plugins === own && isRunConfig(file);
  if (isRecorded) checkTrusted(folder, names);
  const loaded = await loadPlugins(plugins, file, isRecorded ? file : undefined);
  const named = names.length === 0 ? {} : { plugins: names };
  const whole: Record<string, unknown> = { ...written, ...named };
  // A run writes the default reporters down as it does all defaults: that is nobody's wish.
  const isDefault = isRunConfig(file) && JSON.stringify(whole['reporters']) === JSON.stringify([{ kind: 'console' }]);
  const silent = quiet && (whole['reporters'] === undefined || isDefault);
  const resolved = resolveFields(
    whole,
    loaded,
    { folder, overrides: asked },
    {
      onFault,
      given: silent ? { ...given, reporters: [] } : given,
    },
  );
  // Of a run's config a command needs some kinds only: a reporter's plugin may be gone when its adapter is merged.
  if (!isRunConfig(file)) refuseFaults(choiceFaults(written, resolved.composition, { all: true }), origin);
  if (!isRunConfig(file)) return resolved;
  const writes = writesRecorded(fields, Object.keys(overrides), { folder, out: resolved.config.out });
  return { ...resolved, recorded: { file, plugins: namesAmong(own, folder), writes } };
}

const deepest = 64;

const isDeep = (value: unknown, left = deepest): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (left === 0 || Object.values(value).some((each) => isDeep(each, left - 1)));

/**
 * Check a config's fields and make its paths absolute; `out` is taken from the working folder.
 *
 * @param fields as a file could hold them
 * @throws TrainerError CONFIG_INVALID with all faults; PluginError PLUGINS_INVALID
 */
export const resolveConfig = (
  fields: Record<string, unknown>,
  plugins: PluginList,
  folder: string,
  options: CoreOptions = {},
): LoadedConfig => resolveFields(fields, plugins, { folder, overrides: { values: {}, folder } }, options);

function resolveFields(
  { ablation: given = {}, search = {}, ...fields }: Record<string, unknown>,
  plugins: PluginList,
  { folder, overrides }: { readonly folder: string; readonly overrides: Overrides },
  options: CoreOptions,
): LoadedConfig {
  refuseFaults(configFaults({ ...fields, ablation: given, search }));
  const parsed = runConfigSchema.parse(fields);
  const compared = ablationSchema.parse(given);
  const ranked = searchSchema.parse(search);
  const composition = compose([...preset(options), ...plugins]);
  const elsewhere = composition.all(sources);
  const pathOf = (name: string, place: string): string => {
    const isOverridden = Object.keys(overrides.values).some((key) => place === key || place.startsWith(`${key}.`));
    return path.resolve(isOverridden ? overrides.folder : folder, expandHome(name));
  };
  /** @param keyOf the key that what stands at a place was given by */
  const resolve = (config: RunConfig, keyOf = (place: string): string => place): RunConfig =>
    mapInputs(config, composition, (name, role, place) => {
      const here = pathOf(name, keyOf(place));
      return !existsSync(here) && elsewhere.some((source) => source.claims(name, role)) ? name : here;
    });
  const config = resolve(parsed);
  const { out, data } = config;
  const cache = data.cache === undefined ? {} : { cache: pathOf(data.cache, 'data.cache') };
  const variants = compared.variants?.map(({ expansion, ...variant }, index) => {
    if (expansion === undefined || expansion === 'none') return { ...variant, expansion };
    return {
      ...variant,
      expansion: resolve({ ...parsed, expansion }, (place) => `ablation.variants.${index}.${place}`).expansion,
    };
  });
  const { evaluators: [score = ranked.score] = [] } = resolve(
    { ...parsed, evaluate: { ...parsed.evaluate, evaluators: [ranked.score] } },
    (place) => place.replace('evaluate.evaluators.0', 'search.score'),
  ).evaluate;
  return {
    config: { ...config, data: { ...data, ...cache }, out: path.resolve(expandHome(out)) },
    composition,
    ablation: { ...compared, variants },
    search: { ...ranked, score },
  };
}

/** A copy of lists and records. What a config holds by mistake, such as a function, is left to the checks that refuse it. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyOf(each)]));
}

/** `{ 'train.steps': 10 }` laid over a config's fields. */
function withOverrides(
  fields: Record<string, unknown>,
  overrides: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result = copyOf(fields) as Record<string, unknown>;
  for (const [name, value] of Object.entries(overrides)) {
    const parts = name.split('.');
    let place = result;
    for (const part of parts.slice(0, -1)) {
      const next = place[part];
      place = (place[part] = typeof next === 'object' && next !== null ? next : {}) as Record<string, unknown>;
    }
    place[parts.at(-1)!] = value;
  }
  // Of two values that exclude each other, the one on the command line replaces the config's.
  const { train } = result;
  if (typeof train === 'object' && train !== null) {
    const lengths = train as Record<string, unknown>;
    for (const [given, other] of [
      ['steps', 'epochs'],
      ['epochs', 'steps'],
    ] as const)
      if (`train.${given}` in overrides && !(`train.${other}` in overrides)) delete lengths[other];
  }
  return result;
}
