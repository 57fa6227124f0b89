import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic, type FolderLock } from '@glulam/files';
import type { Tokenizer } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import {
  checkWatch,
  describeCopies,
  events as eventsToken,
  eventTime,
  fingerprintModel,
  formatBytes,
  openData,
  openInputs,
  openModel,
  openRunCheckpoint,
  openRunTokenizer,
  recordDate,
  takeOverDate,
  type Example,
  type FetchProgress,
  type ProbeSet,
  type RunConfig,
} from '@glulam/trainer';
import { AblationError } from '../errors.js';
import { lockAblationFolder } from '../lock-ablation-folder.js';
import { candidateMaps, type Candidate, type LayerMap } from './candidate-maps.js';
import { chooseProbe } from './open-probe.js';
import { rankMaps, type Ranking, type SearchMeasure } from './rank-maps.js';
import { scoreMaps, tokensOf } from './score-maps.js';
import { checkSearchFolder, openSearchFolder } from './search-folder.js';
import { writeSearchReport } from './search-report.js';
import type { SearchSettings } from './search-settings.js';

/** A map that was just scored. */
export interface SearchedMap {
  /** Half-open intervals of the base's layers. */
  readonly map: LayerMap;
  /** In the measure's unit. */
  readonly score: number;
  /** What the score is. */
  readonly measure: SearchMeasure;
  /** From 1, those of earlier sittings included; maps come in the order in which they share most work. */
  readonly number: number;
  /** Maps in all. */
  readonly of: number;
}

/** How a search runs. */
export interface SearchOptions {
  /** Aborting ends the search within the layer that it is in. */
  readonly signal?: AbortSignal | undefined;
  /** Go on with the search that the folder holds; where it holds none, begin. */
  readonly resume?: boolean | undefined;
  /** Called after each map is scored. */
  readonly onMap?: ((map: SearchedMap) => void) | undefined;
  /** Called while a base or data is downloaded. */
  readonly onFetch?: ((progress: FetchProgress) => void) | undefined;
}

/** How a search ended. */
export interface SearchResult {
  /** The search's folder. */
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
 * Rank layer maps of the config's base, untrained, by their loss over the first held-out examples or by another
 * evaluator's questions, and report on them. The config's expansion, adapter and evaluators have no part in it.
 *
 * @throws AblationError, and what opening base and data throws
 */
export async function search(
  asked: RunConfig,
  settings: SearchSettings,
  composition: Composition,
  options: SearchOptions = {},
): Promise<SearchResult> {
  const locks: FolderLock[] = [];
  try {
    return await searchLocking(asked, settings, composition, options, locks);
  } finally {
    for (const { release } of locks) await release();
  }
}

async function searchLocking(
  asked: RunConfig,
  settings: SearchSettings,
  composition: Composition,
  { signal = new AbortController().signal, resume = false, onMap, onFetch }: SearchOptions,
  locks: FolderLock[],
): Promise<SearchResult> {
  const given = resume ? takeOverDate(asked) : asked;
  const { out: folder } = given;
  checkWatch(given, composition);
  const { needsHeldOut } = chooseProbe(settings.score, given, composition);
  checkSearchFolder(folder, resume);
  if (resume && existsSync(folder)) locks.push(await lockAblationFolder(folder, 'search'));
  const events = composition.get(eventsToken);
  const warn = (message: string): void => events.emit({ type: 'warning', time: eventTime(), message });
  // Where its files come from elsewhere they are fetched like those of a run's evaluators.
  const scoring = { ...given, evaluate: { ...given.evaluate, evaluators: [settings.score] } };
  const inputs = await openInputs(scoring, composition, { signal, warn, onProgress: onFetch ?? (() => {}) });
  const { expansion: _, ...here } = await inputs.fetch();
  const checkpoint = await openRunCheckpoint(here, composition);
  const { spec, warnings, documents } = checkpoint;
  const candidates = candidateMaps(settings.maps, spec.layers.length);
  const tokenizer = openRunTokenizer(here, documents, spec.vocabularySize);
  for (const warning of [...warnings, ...tokenizer.warnings]) warn(warning);
  const heldOut = needsHeldOut ? await readHeldOut(here, composition, tokenizer, signal) : [];
  const chosen = chooseProbe(scoreOf(here), here, composition);
  const { limit } = settings;
  const { maxPositions } = spec;
  const probe = await chosen.open({ tokenizer, heldOut, limit, maxPositions, signal, warn });
  const measure = { evaluator: chosen.kind, ...probe.measure };
  const tokens = tokensOf(probe.sequences);
  // The residual stream is float32.
  const states = statesHeld(settings.memory, tokens * spec.hiddenSize * 4);

  const model = await openModel({ ...here, adapter: { kind: 'none' } }, composition, { tokenizer, checkpoint });
  try {
    const { decoder } = model;
    for (const warning of describeCopies(decoder.engine)) warn(warning);
    const engine = `${decoder.engine.kind} (${decoder.engine.description}), ${decoder.engine.precision}`;
    const fingerprint = fingerprintSearch(await fingerprintModel(decoder, tokenizer), measure, probe);
    const repeatable = {
      ...recordDate(inputs.pinned, tokenizer),
      evaluate: given.evaluate,
      search: { ...settings, score: scoreOf(inputs.pinned) },
    };
    if (locks.length === 0) {
      locks.push(await lockAblationFolder(folder, 'search'));
      // Another process may have begun and ended here meanwhile.
      checkSearchFolder(folder, resume);
    }
    const results = await openSearchFolder(folder, repeatable, fingerprint);
    const scored = new Map(results.known.map((each) => [JSON.stringify(each.map), each]));
    const isScored = ({ map }: Candidate): boolean => scored.has(JSON.stringify(map));
    const left = candidates.filter((each) => !isScored(each));
    const { evaluator, name: what, better } = measure;
    const counts = { maps: candidates.length, scored: candidates.length - left.length };
    events.emit({ type: 'search.started', time: eventTime(), folder, ...counts, evaluator, score: what, better });
    try {
      await scoreMaps(decoder, probe, left, {
        states,
        signal,
        onScored(each) {
          decoder.checkpoint.files.checkUnchanged();
          results.append(each);
          scored.set(JSON.stringify(each.map), each);
          const { map, score } = each;
          const scoredMap = { map, score, number: candidates.filter(isScored).length, of: candidates.length };
          events.emit({ type: 'map.scored', time: eventTime(), ...scoredMap });
          onMap?.({ ...scoredMap, measure });
        },
      });
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      return { folder, stopped: true, reports: [], findings: [], ranking: undefined };
    }
    const ranking = rankMaps(candidates, scored, spec.layers.length, measure);
    const file = path.join(folder, 'results.json');
    await writeFileAtomic(file, `${JSON.stringify({ fingerprint, engine, ...ranking }, null, 2)}\n`);
    const told = { base: path.basename(given.base), engine, samples: probe.samples, tokens };
    const { reports, findings } = await writeSearchReport(folder, ranking, told);
    const written = { reports: [...reports, file], findings };
    events.emit({ type: 'search.finished', time: eventTime(), folder, ...written });
    return { folder, stopped: false, ...written, ranking };
  } finally {
    await model.close();
  }
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

/** `search.score` of a config that `openInputs` was given it in. */
const scoreOf = ({ evaluate }: RunConfig): SearchSettings['score'] => evaluate.evaluators![0]!;

async function readHeldOut(
  config: RunConfig,
  composition: Composition,
  tokenizer: Tokenizer,
  signal: AbortSignal,
): Promise<readonly Example[]> {
  const data = await openData(config, composition, tokenizer, { signal, only: 'heldOut' });
  data.close();
  return data.heldOut;
}

/**
 * Scores with the same one can stand beside each other: those of the same model on the same engine, over the same tokens.
 * What is made of the tokens' log probabilities, such as which choices are right, shows in what is made of fixed ones.
 */
function fingerprintSearch(model: string, { evaluator }: SearchMeasure, { sequences, score }: ProbeSet): string {
  const hash = createHash('sha256').update(`${model} ${evaluator}`);
  for (const { ids, trained } of sequences)
    hash
      .update(`${ids.length} `)
      .update(new Uint8Array(new Int32Array(ids).buffer))
      .update(new Uint8Array(trained));
  const fixed = score(sequences.map((_, i) => -Math.sqrt(i + 1)));
  return hash.update(JSON.stringify(fixed)).digest('hex');
}
