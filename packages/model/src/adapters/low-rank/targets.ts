import type { LinearSite } from '../adapter.js';
import { isSavedModule } from './low-rank-copies.js';
import type { LowRankOptions } from './low-rank-options.js';
import { pythonRegex } from '../python-regex/python-regex.js';

type Targets = Pick<
  LowRankOptions,
  'target_modules' | 'exclude_modules' | 'layers_to_transform' | 'layers_pattern' | 'modules_to_save'
>;

/** PEFT's rule: a list matches by suffix, a string is a regular expression over the whole path, or `all-linear`. */
export function isTarget(site: LinearSite, targets: string | readonly string[]): boolean {
  return isAllLinear(targets) || matches(site.path, targets, 'target_modules');
}

/** PEFT does not mind the case. */
export const isAllLinear = (targets: string | readonly string[]): boolean =>
  typeof targets === 'string' && targets.toLowerCase() === 'all-linear';

export function matches(
  path: string,
  modules: string | readonly string[],
  field: 'target_modules' | 'exclude_modules',
): boolean {
  if (typeof modules === 'string') return pythonRegex(modules).fullMatch(path, field);
  return modules.some((name) => path === name || path.endsWith(`.${name}`));
}

/** Whether a low-rank adapter sits at a site, unless its rank there is 0. */
export function isAdapted(options: Targets, site: LinearSite): boolean {
  const { target_modules: targets, exclude_modules: excluded } = options;
  if (excluded !== null && excluded.length > 0 && matches(site.path, excluded, 'exclude_modules')) return false;
  if (isSavedModule(site, options) || !isTarget(site, targets)) return false;
  // PEFT does not ask for the layer of a module that is listed by its whole path.
  return typeof targets === 'string' || targets.includes(site.path) || isInLayers(options, site);
}

/** PEFT's rule for `layers_to_transform`: the number after `layers_pattern`, or the first one; an empty list is none. */
function isInLayers(
  { layers_to_transform: layers, layers_pattern: pattern }: Pick<Targets, 'layers_to_transform' | 'layers_pattern'>,
  { path, virtual }: LinearSite,
): boolean {
  if (layers === null || (Array.isArray(layers) && layers.length === 0)) return true;
  const patterns = [pattern ?? []].flat().filter((each) => each !== '');
  const numbered = patterns.some((each) => pythonRegex(layerPattern(each)).match(path, 'layers_pattern'));
  return (patterns.length === 0 || numbered) && [layers].flat().includes(virtual);
}

/** As PEFT asks where a layer's number is. */
export const layerPattern = (pattern: string): string => String.raw`(?:^|.*?\.)${pattern}\.(?P<idx>\d+)\.`;

/** As PEFT asks whether a key of `rank_pattern` or `alpha_pattern` is meant. */
export const keyPattern = (key: string): string => String.raw`(.*\.)?(${key})$`;

const keyField = 'a key of rank_pattern or alpha_pattern';

/** PEFT's rule for `rank_pattern` and `alpha_pattern`: the first key that matches the end of the path. */
export function fromPattern(site: LinearSite, patterns: Readonly<Record<string, number>>, otherwise: number): number {
  const match = Object.entries(patterns).find(([key]) => pythonRegex(keyPattern(key)).match(site.path, keyField));
  return match?.[1] ?? otherwise;
}

/** Paths of the modules around linear layers and beside them, in which PEFT knows no adapter. */
export function modulesAround(sites: readonly LinearSite[]): string[] {
  const around = sites.flatMap(({ path }) => {
    const parts = path.split('.');
    return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'));
  });
  const layers = new Set(sites.map(({ path }) => path.split('.').slice(0, -2).join('.')));
  const beside = ['input_layernorm', 'post_attention_layernorm', 'mlp.act_fn'];
  return [
    ...new Set(around),
    ...[...layers].flatMap((layer) => beside.map((name) => `${layer}.${name}`)),
    'model.norm',
  ];
}
