import { createHash } from 'node:crypto';
import path from 'node:path';
import { families, openCheckpoint } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { writeFileAtomic } from '@glulam/tensors';
import {
  configError,
  events as eventsToken,
  fingerprintModel,
  formatBytes,
  openData,
  openInputs,
  openModel,
  openRunTokenizer,
  type Example,
  type FetchProgress,
  type RunConfig,
} from '@glulam/trainer';
import { AblationError } from '../errors.js';
import { candidateMaps, type Candidate, type LayerMap } from './candidate-maps.js';
import { rankMaps, type Ranking } from './rank-maps.js';
import { scoreMaps, stateBytes } from './score-maps.js';
import { checkSearchFolder, openSearchFolder } from './search-folder.js';
import { writeSearchReport } from './search-report.js';
import type { SearchSettings } from './search-settings.js';

/** A map that was just scored. */
export interface SearchedMap {
  readonly map: LayerMap;
  readonly loss: number;
  /** From 1, those of earlier sittings included; maps come in the order in which they share most work. */
  readonly number: number;
  readonly of: number;
}

export interface SearchOptions {
  /** Aborting ends the search within the layer that it is in. */
  readonly signal?: AbortSignal | undefined;
  /** Go on with the search that the folder holds; where it holds none, begin. */
  readonly resume?: boolean | undefined;
  readonly onMap?: ((map: SearchedMap) => void) | undefined;
  /** Called while a base or data is downloaded. */
  readonly onFetch?: ((progress: FetchProgress) => void) | undefined;
}

export interface SearchResult {
  readonly folder: string;
  /** It was ended by the signal: there is no report yet. */
  readonly stopped: boolean;
  /** report.md, report.html and results.json. */
  readonly reports: readonly string[];
  /** What the report says in short. */
  readonly findings: readonly string[];
  /** Absent where it was stopped. */
  readonly ranking: Ranking | undefined;
}

/**
 * Rank layer maps of the config's base, untrained, by their loss over the first held-out examples, and report on them.
 * The config's expansion and adapter have no part in it.
 *
 * @throws AblationError, and what opening base and data throws
 */
export async function search(
  given: RunConfig,
  settings: SearchSettings,
  composition: Composition,
  { signal = new AbortController().signal, resume = false, onMap, onFetch }: SearchOptions = {},
): Promise<SearchResult> {
  const { out: folder } = given;
  if (given.data.heldOut === undefined)
    throw configError(['a search scores maps by held-out data, and there is none: name a file as data.heldOut']);
  checkSearchFolder(folder, resume);
  const events = composition.get(eventsToken);
  const warn = (message: string): void => events.emit({ type: 'warning', time: Date.now(), message });
  const inputs = await openInputs(given, composition, { signal, warn, onProgress: onFetch ?? (() => {}) });
  const { expansion: _, ...here } = await inputs.fetch();
  const { shape } = openCheckpoint(here.base, composition.all(families));
  const candidates = candidateMaps(settings.maps, shape.physicalLayers);
  const tokenizer = openRunTokenizer(here, shape.vocabularySize);
  const data = await openData(here, composition, tokenizer, { signal, only: 'heldOut' });
  data.close();
  const probe = data.heldOut.slice(0, settings.limit);
  checkProbe(probe);
  const states = statesHeld(settings.memory, stateBytes(probe, shape.hiddenSize));

  const model = await openModel({ ...here, adapter: { kind: 'none' } }, composition, { tokenizer });
  try {
    const { decoder } = model;
    const engine = `${decoder.engine.kind} (${decoder.engine.description}), ${decoder.engine.precision}`;
    const fingerprint = fingerprintSearch(await fingerprintModel(decoder, tokenizer), probe);
    const results = await openSearchFolder(folder, { ...inputs.pinned, search: settings }, fingerprint);
    const scored = new Map(results.known.map((each) => [JSON.stringify(each.map), each]));
    const isScored = ({ map }: Candidate): boolean => scored.has(JSON.stringify(map));
    const left = candidates.filter((each) => !isScored(each));
    try {
      await scoreMaps(decoder, probe, left, {
        states,
        signal,
        onScored(each) {
          results.append(each);
          scored.set(JSON.stringify(each.map), each);
          const { map, loss } = each;
          onMap?.({ map, loss, number: candidates.filter(isScored).length, of: candidates.length });
        },
      });
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      return { folder, stopped: true, reports: [], findings: [], ranking: undefined };
    }
    const ranking = rankMaps(candidates, scored, shape.physicalLayers);
    const file = path.join(folder, 'results.json');
    await writeFileAtomic(file, `${JSON.stringify({ fingerprint, engine, ...ranking }, null, 2)}\n`);
    const tokens = probe.reduce((sum, { ids }) => sum + ids.length, 0);
    const told = { base: path.basename(given.base), engine, examples: probe.length, tokens };
    const { reports, findings } = await writeSearchReport(folder, ranking, told);
    return { folder, stopped: false, reports: [...reports, file], findings, ranking };
  } finally {
    await model.close();
  }
}

function checkProbe(probe: readonly Example[]): void {
  // The first token of an example is predicted by nothing.
  if (probe.some(({ trained }) => trained.subarray(1).includes(1))) return;
  throw new AblationError(
    'SEARCH_INVALID',
    `the probe, the first ${probe.length} held-out examples, has no token to predict; name a file with some as data.heldOut, or raise search.limit`,
  );
}

/** How many hidden states of the whole probe the budget allows for. */
function statesHeld(megabytes: number, bytes: number): number {
  const states = Math.floor((megabytes * 1e6) / bytes);
  if (states >= 1) return states;
  throw new AblationError(
    'SEARCH_INVALID',
    `search.memory is ${megabytes} MB; the hidden states of the probe behind one layer take ${formatBytes(bytes)}, and sharing work wants two of them: raise it, or lower search.limit`,
  );
}

/** Losses with the same one can stand beside each other: those of the same model on the same engine, over the same tokens. */
function fingerprintSearch(model: string, probe: readonly Example[]): string {
  const hash = createHash('sha256').update(model);
  for (const { ids, trained } of probe)
    hash
      .update(`${ids.length} `)
      .update(new Uint8Array(new Int32Array(ids).buffer))
      .update(new Uint8Array(trained));
  return hash.digest('hex');
}
