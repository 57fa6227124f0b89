import { layerMap, mostLayers } from '@glulam/model';
import { AblationError } from '../errors.js';

/** Half-open intervals `[start, end)` of physical layers, in order. */
export type LayerMap = readonly (readonly [number, number])[];

/** A layer map with what it lays out. */
export interface Candidate {
  /** The intervals in their shortest form: of maps that lay out the same there is one. */
  readonly map: LayerMap;
  /** Physical layers in order. */
  readonly layers: readonly number[];
}

/**
 * The base as it is, and behind it the maps that are listed or, without a list, every run of layers laid out twice.
 *
 * @throws AblationError SEARCH_INVALID
 */
export function candidateMaps(maps: readonly LayerMap[] | undefined, physicalLayers: number): Candidate[] {
  const given = maps ?? contiguousRepeats(physicalLayers);
  const faults = given.flatMap((map, index) => {
    const outside = map.flatMap(([start, end]) => {
      if (start >= end) return [`search.maps.${index}: [${start}, ${end}) is empty; expected start < end`];
      if (end > physicalLayers)
        return [
          `search.maps.${index}: [${start}, ${end}) leaves the base, which has ${physicalLayers} layers: [0, ${physicalLayers})`,
        ];
      return [];
    });
    const length = map.reduce((sum, [start, end]) => sum + end - start, 0);
    if (outside.length > 0 || length <= mostLayers) return outside;
    return [`search.maps.${index} lays out ${length} layers; expected ${mostLayers} at most`];
  });
  if (faults.length > 0)
    throw new AblationError('SEARCH_INVALID', `maps do not fit the base:\n  ${faults.join('\n  ')}`);
  const candidates = new Map<string, Candidate>();
  for (const map of [[[0, physicalLayers] as const], ...given]) {
    const layers = map.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i));
    const shortest = layerMap(layers.map((physical) => ({ physical })));
    candidates.set(JSON.stringify(shortest), { map: shortest, layers });
  }
  return [...candidates.values()];
}

/** `repeat_yourself` for all its i and j: `[[0, j], [i, n]]`. */
function contiguousRepeats(n: number): LayerMap[] {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n - i }, (_, k) => i + k + 1))
    .flatMap((ends, i) => ends.map((j) => [i, j] as const))
    .map(([i, j]) => [
      [0, j],
      [i, n],
    ]);
}

/** The i and j of a map that lays the layers i to j - 1 out twice; undefined for others. */
export function repeatOf(
  map: LayerMap,
  physicalLayers: number,
): { readonly i: number; readonly j: number } | undefined {
  const [first, second, ...rest] = map;
  if (first === undefined || second === undefined || rest.length > 0) return undefined;
  const [[start, j], [i, end]] = [first, second];
  return start === 0 && end === physicalLayers && i < j ? { i, j } : undefined;
}
