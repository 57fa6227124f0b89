import type { Measure } from '@glulam/trainer';
import { repeatOf, type Candidate, type LayerMap } from './candidate-maps.js';
import type { ScoredMap } from './search-folder.js';

/** A layer map with its score. */
export interface RankedMap {
  /** Half-open intervals `[start, end)` of physical layers, in their shortest form. */
  readonly map: LayerMap;
  /** Layers that the map lays out. */
  readonly virtualLayers: number;
  /** Of a map that lays the layers i to j - 1 out twice. */
  readonly repeat?: { readonly i: number; readonly j: number };
  /** In the measure's unit; NaN where hidden states overflowed. */
  readonly score: number;
  /** Its standard error, over samples. */
  readonly error: number;
}

/** What maps are scored by. */
export interface SearchMeasure extends Measure {
  /** The evaluator's kind. */
  readonly evaluator: string;
}

/** All maps of a search, compared. */
export interface Ranking {
  /** What the scores are. */
  readonly measure: SearchMeasure;
  /** Layers of the base. */
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
  measure: SearchMeasure,
): Ranking {
  let run = 0;
  let alone = 0;
  const [base, ...maps] = candidates.map(({ map, layers }): RankedMap => {
    const { score, error, passes } = scored.get(JSON.stringify(map))!;
    run += passes;
    alone += layers.length;
    const repeat = repeatOf(map, physicalLayers);
    return { map, virtualLayers: layers.length, ...(repeat === undefined ? {} : { repeat }), score, error };
  });
  // A score that is no number, as of a model whose hidden states overflow, is the worst there is.
  const rank = ({ score }: RankedMap): number => (Number.isNaN(score) ? Infinity : howBad(score, measure));
  maps.sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
  return { measure, physicalLayers, base: base!, maps, passes: { run, alone } };
}

/** Scores, or differences of them, so that less is better. */
export const howBad = (score: number, { better }: Measure): number => (better === 'lower' ? score : -score);
