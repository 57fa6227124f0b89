import type { LinearSite } from '../adapter.js';
import { isSavedModule } from './low-rank-copies.js';
import type { LowRankOptions } from './low-rank-options.js';

/** PEFT's rule: a list matches by suffix, a string is a regular expression over the whole path, or `all-linear`. */
export function isTarget(site: LinearSite, targets: string | readonly string[]): boolean {
  return targets === 'all-linear' || matches(site, targets);
}

function matches({ path }: LinearSite, modules: string | readonly string[]): boolean {
  if (typeof modules === 'string') return new RegExp(`^(?:${modules})$`).test(path);
  return modules.some((name) => path === name || path.endsWith(`.${name}`));
}

/** Whether a low-rank adapter sits at a site, unless its rank there is 0. */
export function isAdapted(
  options: Pick<LowRankOptions, 'target_modules' | 'exclude_modules' | 'layers_to_transform' | 'modules_to_save'>,
  site: LinearSite,
): boolean {
  const { target_modules, exclude_modules, layers_to_transform: layers } = options;
  if (layers !== null && ![layers].flat().includes(site.virtual)) return false;
  if (exclude_modules !== null && matches(site, exclude_modules)) return false;
  return isTarget(site, target_modules) && !isSavedModule(site, options);
}

/** PEFT's rule for `rank_pattern` and `alpha_pattern`: keys are regular expressions, matched as `(.*\.)?(key)$`. */
export function fromPattern(site: LinearSite, patterns: Readonly<Record<string, number>>, otherwise: number): number {
  const match = Object.entries(patterns).find(([key]) => new RegExp(`^(?:.*\\.)?(?:${key})$`).test(site.path));
  return match?.[1] ?? otherwise;
}
