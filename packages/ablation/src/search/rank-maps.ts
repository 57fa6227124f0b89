import { repeatOf, type Candidate, type LayerMap } from './candidate-maps.js';
import type { ScoredMap } from './search-folder.js';

export interface RankedMap {
  readonly map: LayerMap;
  readonly virtualLayers: number;
  /** Of a map that lays the layers i to j - 1 out twice. */
  readonly repeat?: { readonly i: number; readonly j: number };
  readonly loss: number;
  readonly error: number;
}

export interface Ranking {
  readonly physicalLayers: number;
  /** The base as it is, which is not among the maps. */
  readonly base: RankedMap;
  /** Best first. */
  readonly maps: readonly RankedMap[];
  /** Layers run over the whole probe: without sharing it would have been `alone`. */
  readonly passes: { readonly run: number; readonly alone: number };
}

/** @param scored by `JSON.stringify` of their maps; others than the candidates are left out */
export function rankMaps(
  candidates: readonly Candidate[],
  scored: ReadonlyMap<string, ScoredMap>,
  physicalLayers: number,
): Ranking {
  let run = 0;
  let alone = 0;
  const [base, ...maps] = candidates.map(({ map, layers }): RankedMap => {
    const { loss, error, passes } = scored.get(JSON.stringify(map))!;
    run += passes;
    alone += layers.length;
    const repeat = repeatOf(map, physicalLayers);
    return { map, virtualLayers: layers.length, ...(repeat === undefined ? {} : { repeat }), loss, error };
  });
  // A loss that is no number, as of a model whose hidden states overflow, is the worst there is.
  const rank = ({ loss }: RankedMap): number => (Number.isNaN(loss) ? Infinity : loss);
  maps.sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
  return { physicalLayers, base: base!, maps, passes: { run, alone } };
}
