import { usesOf, type AdapterChoice, type VirtualLayer } from '@glulam/model';
import type { RunConfig } from '@glulam/trainer';

type Rank = number | { readonly first: number; readonly repeats: number };

/**
 * An adapter for the base as it is that trains as much as a low-rank one on virtual layers: r times virtual over physical
 * layers, rounded, and `lora_alpha` with it, so that the scaling stays. Adapters without ranks stay as they are.
 *
 * @param given as the config has it
 * @param resolved the same with every option filled in
 */
export function matchedAdapter(
  given: RunConfig['adapter'],
  resolved: AdapterChoice,
  layers: readonly VirtualLayer[],
  physicalLayers: number,
): RunConfig['adapter'] {
  const { r, lora_alpha: alpha, use_rslora: isRankStabilized } = resolved.options as Record<string, unknown>;
  if (!isRank(r)) return given;
  const ranks = usesOf(layers).map((use) => (typeof r === 'number' ? r : use === 0 ? r.first : r.repeats));
  const rank = Math.max(1, Math.round(ranks.reduce((sum, each) => sum + each, 0) / physicalLayers));
  const before = typeof r === 'number' ? r : r.first || r.repeats;
  const factor = isRankStabilized === true ? Math.sqrt(rank / before) : rank / before;
  const { matchTrainable: _, ...options } = given;
  return { ...options, r: rank, ...(typeof alpha === 'number' ? { lora_alpha: alpha * factor } : {}) };
}

function isRank(r: unknown): r is Rank {
  return typeof r === 'number' || (typeof r === 'object' && r !== null && 'first' in r && 'repeats' in r);
}
