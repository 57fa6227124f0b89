import {
  lowRankCopies,
  lowRankSites,
  lowRankToPeft,
  plainLowRank,
  type Adapter,
  type LowRankOptions,
} from '@glulam/model';

/** Low-rank adaptation (Hu et al. 2021): y = W x + s B A dropout(x), A [r, in], B [out, r], with PEFT's scaling s. */
export function createLora(options: LowRankOptions): Adapter {
  const siteOf = lowRankSites('lora', options);
  return {
    kind: 'lora',
    at(site) {
      const low = siteOf(site);
      return low && plainLowRank(low);
    },
    copies: lowRankCopies(options, (site) => siteOf(site) !== undefined),
    peftConfig: (sites) => lowRankToPeft(options, sites, false),
  };
}
