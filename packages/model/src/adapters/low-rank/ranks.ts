import type { LinearSite } from '../adapter.js';
import { ModelError } from '../../errors.js';
import type { LowRankOptions } from './low-rank-options.js';
import { fromPattern, isAdapted } from './targets.js';

/** The rank at a targeted site; 0: no adapter. */
export function rankAt({ r, rank_pattern }: Pick<LowRankOptions, 'r' | 'rank_pattern'>, site: LinearSite): number {
  return fromPattern(site, rank_pattern, typeof r === 'number' ? r : site.use === 0 ? r.first : r.repeats);
}

/**
 * `matchTrainable` as the rank it stands for: the largest that makes no more parameters. Patterns stay as they are.
 * `besides`: what a site with an adapter trains besides A and B.
 */
export function matchRank<Options extends LowRankOptions>(
  options: Options,
  sites: readonly LinearSite[],
  besides: (site: LinearSite) => number = () => 0,
): Options {
  const { matchTrainable: wanted, ...rest } = options;
  if (wanted === undefined) return options;
  const targets = sites.filter((site) => isAdapted(options, site));
  const withRank = (rank: number): LowRankOptions['r'] =>
    typeof options.r === 'number' ? rank : { first: options.r.first, repeats: rank };
  const count = (rank: number): number =>
    targets.reduce((sum, site) => {
      const at = rankAt({ ...rest, r: withRank(rank) }, site);
      return at === 0 ? sum : sum + at * (site.inFeatures + site.outFeatures) + besides(site);
    }, 0);
  // The count grows by the same number with every rank.
  const each = count(2) - count(1);
  const rank = each === 0 ? 0 : Math.floor((wanted - (count(1) - each)) / each);
  if (rank < 1) {
    throw new ModelError(
      'ADAPTER_INVALID',
      each === 0
        ? 'matchTrainable has nothing to vary: no targeted layer takes its rank from r'
        : `matchTrainable asks for ${wanted} trainable parameters; rank 1 makes ${count(1)}: ask for at least these, or target fewer layers`,
    );
  }
  return { ...(rest as Options), r: withRank(rank) };
}
