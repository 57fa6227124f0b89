import { appendFileSync, existsSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { readRegularFile, writeFileAtomic } from '@glulam/files';
import { openFolder } from '../ablation-folder.js';
import { AblationError } from '../errors.js';
import type { LayerMap } from './candidate-maps.js';

/** A map's score over the probe. */
export interface ScoredMap {
  readonly map: LayerMap;
  readonly score: number;
  /** Its standard error, over samples. */
  readonly error: number;
  /** Layers run since the map that was scored before it: without what is shared they were as many as its virtual layers. */
  readonly passes: number;
}

/** What was scored, and what is scored from now on. */
interface ResultsFile {
  readonly known: readonly ScoredMap[];
  append(scored: ScoredMap): void;
}

/** A million maps. */
const mostResultBytes = 500_000_000;

const nameOf = (folder: string): string => path.join(folder, 'results.jsonl');

/**
 * Refuse a folder that holds something already, before anything is fetched or opened.
 *
 * @throws AblationError FOLDER_UNUSABLE
 */
export function checkSearchFolder(folder: string, resume: boolean): void {
  const holdsSearch = existsSync(nameOf(folder));
  if (!holdsSearch && existsSync(path.join(folder, 'config.json')))
    throw new AblationError(
      'FOLDER_UNUSABLE',
      `${folder} holds a run or an ablation; expected a folder for a search: choose another one with --out`,
    );
  if (holdsSearch && !resume)
    throw new AblationError(
      'FOLDER_UNUSABLE',
      `${folder} holds a search already; go on with it by --resume, choose another folder with --out, or remove it`,
    );
}

/**
 * Make the folder, with the config that repeats the search, or read what it holds. Scores can stand beside each other
 * where model, engine and probe were the same, which the fingerprint says; the maps may be others.
 *
 * @throws AblationError FOLDER_UNUSABLE, CONFIG_CHANGED
 */
export async function openSearchFolder(folder: string, config: object, fingerprint: string): Promise<ResultsFile> {
  const file = nameOf(folder);
  const known = existsSync(file) ? readResults(file, fingerprint) : [];
  await openFolder(folder);
  if (!existsSync(file)) await writeFileAtomic(file, `${JSON.stringify({ fingerprint })}\n`);
  await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  return {
    known,
    append(scored) {
      try {
        appendFileSync(file, `${JSON.stringify(scored)}\n`);
      } catch (cause) {
        throw unusable(
          file,
          `cannot be written (${(cause as Error).message}); make room, and go on with --resume`,
          cause,
        );
      }
    },
  };
}

function readResults(file: string, fingerprint: string): ScoredMap[] {
  const bytes = readRegularFile(file, mostResultBytes);
  // A line cut short by a kill is no result; the next one is not to be written behind it.
  const whole = bytes.lastIndexOf('\n') + 1;
  let lines: unknown[];
  try {
    lines = bytes
      .toString('utf8', 0, whole)
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
  } catch (cause) {
    throw unusable(file, `cannot be read (${(cause as Error).message}); remove the folder to begin again`, cause);
  }
  const [head, ...scored] = lines as [{ fingerprint?: unknown } | null, ...ScoredMap[]];
  if (head?.fingerprint !== fingerprint)
    throw new AblationError(
      'CONFIG_CHANGED',
      `${file} has scores of another base, engine or probe, which cannot stand beside new ones: ` +
        'take the change back (base, engine, precision, data, search.score, search.limit), or begin a new search with --out',
    );
  // JSON has no NaN: a score that overflowed is null there.
  const wrong = scored.findIndex((each) => !Array.isArray(each?.map) || !Number.isFinite(each.score ?? 0));
  if (wrong >= 0)
    throw unusable(
      file,
      `holds no map with its score in line ${wrong + 2}; remove the line, or the folder to begin again`,
    );
  if (whole < bytes.length) truncateSync(file, whole);
  return scored.map(({ score, error, ...each }) => ({ ...each, score: score ?? NaN, error: error ?? NaN }));
}

const unusable = (file: string, fault: string, cause?: unknown): AblationError =>
  new AblationError('FOLDER_UNUSABLE', `${file} ${fault}`, { cause });
