import { closeSync, existsSync, ftruncateSync, fstatSync, openSync, statSync, truncateSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import {
  folderOwner,
  isSystemError,
  lockFolder,
  makeFolder,
  readRegularFile,
  readTextFile,
  removeLeftovers,
  writeFileAtomic,
  type FolderLock,
} from '@glulam/files';
import { z } from 'zod';
import type { RunConfig } from '../config/config.js';
import { configDifference, inTodaysWords } from '../config/config-difference.js';
import { TrainerError } from '../errors.js';
import { eventTime } from '../events/event-time.js';
import type { RunEvent } from '../events/events.js';
import { checkpointSteps } from './run-checkpoint.js';
import { visibleJson } from '../events/visible-text.js';

/** JavaScript's strings hold little more; a run of a million steps writes half of it. */
const mostEventBytes = 500_000_000;

const bestSchema = z.object({
  step: z.int(),
  /** Relative to the run folder. */
  folder: z.string(),
  /** null: not finite, which JSON cannot say. */
  scores: z.record(z.string(), z.record(z.string(), z.number().nullable())),
});
/** What `best.json` says. */
export type BestCheckpoint = z.infer<typeof bestSchema>;

/** The folder of a run: its config, and its events as JSON lines. */
export interface RunFolder {
  readonly folder: string;
  /** Events of earlier sittings of this run, in order. */
  readonly recorded: readonly RunEvent[];
  /** Append an event at once, so that a run that is killed has told all that it did. */
  write(event: RunEvent): void;
  /** Note which checkpoint is the best: `best.json`, replaced whole. */
  keepBest(best: BestCheckpoint): Promise<void>;
  forgetBest(): Promise<void>;
  best(): BestCheckpoint | undefined;
  /** All events of this run so far. */
  told(): readonly RunEvent[];
  /** Throws if an event could not be written. */
  check(): void;
  close(): void;
}

/**
 * Refuse what cannot be used before anything is loaded: a folder that holds a run already, or, to resume, a config that
 * differs from the run's.
 *
 * @throws TrainerError RUN_INVALID, RUN_CHANGED
 */
export function checkRunFolder(config: RunConfig, resume: boolean): void {
  const { out } = config;
  const hasRun = existsSync(path.join(out, 'config.json')) || existsSync(path.join(out, 'events.jsonl'));
  if (!hasRun) {
    // A run replaces its adapter whole and removes old checkpoints.
    const taken = ['adapter', 'checkpoints'].find((name) => existsSync(path.join(out, name)));
    if (taken === undefined) return;
    throw new TrainerError(
      'RUN_INVALID',
      `${out} holds ${taken}/, and no run that wrote it; a run would replace it: choose another folder with --out`,
    );
  }
  if (!resume) {
    throw new TrainerError(
      'RUN_INVALID',
      `${out} holds a run already; go on with it by --resume, choose another folder with --out, or remove it`,
    );
  }
  const file = path.join(out, 'config.json');
  let before: unknown;
  try {
    before = JSON.parse(readTextFile(file));
  } catch (cause) {
    throw new TrainerError(
      'RUN_INVALID',
      `${file} cannot be read (${(cause as Error).message}); the run cannot be resumed: remove its folder to begin again`,
      { cause },
    );
  }
  // As it would be read back: keys that are undefined are not there.
  const difference = configDifference(inTodaysWords(before), inTodaysWords(JSON.parse(JSON.stringify(config))));
  if (difference.length > 0) {
    throw new TrainerError(
      'RUN_CHANGED',
      `${out} was begun with another config and cannot go on with this one:\n  ${difference.join('\n  ')}\n` +
        'Take these changes back, resume the run folder itself (glulam train RUN --resume), or begin a new run with --out.',
    );
  }
}

/**
 * Refuse a folder that cannot get a new run because of another one: which trains there now, or whose folder it is inside
 * of. The folder of an ablation, with the runs inside of it, is no run's.
 *
 * @throws TrainerError RUN_BUSY, RUN_INVALID
 */
export async function checkOtherRuns(folder: string): Promise<void> {
  let owner: string | undefined;
  try {
    owner = await folderOwner(folder);
  } catch (cause) {
    throw folderUnusable(folder, cause);
  }
  if (owner !== undefined) throw runBusy(folder, owner);
  const above = runAbove(folder);
  if (above === undefined) return;
  throw new TrainerError(
    'RUN_INVALID',
    `${folder} is inside the run folder ${above}; expected a folder outside of it: choose another one with --out`,
  );
}

function runAbove(folder: string): string | undefined {
  const parent = path.dirname(path.resolve(folder));
  if (parent === path.resolve(folder)) return undefined;
  const hasConfig = existsSync(path.join(parent, 'config.json'));
  const isRun = hasConfig && (existsSync(path.join(parent, 'events.jsonl')) || checkpointSteps(parent).length > 0);
  return isRun ? parent : runAbove(parent);
}

const runBusy = (folder: string, owner: string): TrainerError =>
  new TrainerError(
    'RUN_BUSY',
    `${owner} is training in ${folder}; wait for it to end, or choose another folder with --out. If that process has ` +
      `nothing to do with this run, remove ${path.join(folder, 'lock.*')}.`,
  );

/**
 * Make the folder of a run and take it for this process: two runs in one folder would mix their steps and checkpoints.
 *
 * @param address of the run's control socket, if it has one
 * @throws TrainerError RUN_BUSY, RUN_WRITE_FAILED
 */
export async function lockRunFolder(folder: string, address?: string): Promise<FolderLock> {
  try {
    makeFolder(folder);
    return await lockFolder(folder, (owner) => runBusy(folder, owner), address);
  } catch (cause) {
    if (cause instanceof TrainerError) throw cause;
    throw folderUnusable(folder, cause);
  }
}

const folderUnusable = (folder: string, cause: unknown): TrainerError =>
  new TrainerError(
    'RUN_WRITE_FAILED',
    `${folder} cannot be used as a run folder (${(cause as Error).message}); choose another one with --out`,
    { cause },
  );

/** The samples of an evaluation after a step, a file an evaluator. */
export const samplesFolder = (out: string, step: number): string =>
  path.join(out, 'samples', `step-${String(step).padStart(8, '0')}`);

/** Begin in a folder that is locked, or open it to resume. */
export async function openRunFolder(config: RunConfig): Promise<RunFolder> {
  const folder = config.out;
  const configFile = path.join(folder, 'config.json');
  const file = path.join(folder, 'events.jsonl');
  let log: number;
  let recorded: readonly RunEvent[];
  try {
    await removeLeftovers(folder);
    if (!existsSync(configFile)) await writeFileAtomic(configFile, `${JSON.stringify(config, null, 2)}\n`);
    removePartialLine(file);
    recorded = readRunEvents(folder);
    log = openSync(file, 'a');
  } catch (cause) {
    throw isSystemError(cause) ? folderUnusable(folder, cause) : cause;
  }
  let failure: Error | undefined;
  const bestFile = path.join(folder, 'best.json');
  let best = readBest(folder);
  return {
    folder,
    recorded,
    async keepBest(now) {
      await writeFileAtomic(bestFile, `${JSON.stringify(now, null, 2)}\n`);
      best = now;
    },
    async forgetBest() {
      await rm(bestFile, { force: true });
      best = undefined;
    },
    best: () => best,
    write(event) {
      if (failure !== undefined) return;
      const text = lineOf(event);
      if (text === undefined) return;
      const line = Buffer.from(`${visibleJson(text)}\n`);
      let before: number | undefined;
      try {
        before = fstatSync(log).size;
        for (let done = 0; done < line.length;) done += writeSync(log, line, done);
      } catch (error) {
        failure = error as Error;
        if (before !== undefined) ftruncateSync(log, before);
      }
    },
    told: () => readRunEvents(folder),
    check() {
      if (failure === undefined) return;
      throw new TrainerError(
        'RUN_WRITE_FAILED',
        `${file} cannot be written (${failure.message}); make room and go on with --resume`,
        { cause: failure },
      );
    },
    close: () => closeSync(log),
  };
}

/**
 * Any listener may emit an event, and its data may be what JSON cannot say, such as a bigint or a circle: the run goes
 * on, and its record says what is missing. A throw here would end the recording of all that follows. Returns undefined
 * for events that are not recorded: nobody needs the progress of an evaluation later.
 */
function lineOf(event: RunEvent): string | undefined {
  let reason: string;
  try {
    const text = JSON.stringify(event) as string | undefined;
    if (text?.startsWith('{') === true && typeof event.type === 'string')
      return event.type === 'evaluation.running' ? undefined : text;
    reason = 'an event is a record with a type';
  } catch (error) {
    reason = `JSON cannot say its data (${error instanceof Error ? error.message : 'its toJSON threw'})`;
  }
  const message = `the event ${nameOf(event)} is left out: ${reason}`;
  return JSON.stringify({ type: 'warning', time: eventTime(), message } satisfies RunEvent);
}

function nameOf(event: unknown): string {
  try {
    const { type, name } = (event ?? {}) as { readonly type?: unknown; readonly name?: unknown };
    return String(type === 'plugin' ? name : type);
  } catch {
    return 'without a name'; // a getter that throws, or a value without a text
  }
}

/** What best.json of a run says; undefined where it kept no best checkpoint. */
export function readBest(folder: string): BestCheckpoint | undefined {
  const file = path.join(folder, 'best.json');
  if (!existsSync(file)) return undefined;
  try {
    return bestSchema.parse(JSON.parse(readTextFile(file)));
  } catch (cause) {
    throw new TrainerError(
      'RUN_INVALID',
      `${file} does not name a checkpoint (${(cause as Error).message}); the file was changed: remove it`,
      { cause },
    );
  }
}

function readEventFile(file: string): Buffer {
  try {
    return readRegularFile(file, mostEventBytes);
  } catch (cause) {
    throw new TrainerError(
      'RUN_INVALID',
      `${file}, the events of a run, cannot be read (${(cause as Error).message}); move it elsewhere, or restore it`,
      { cause },
    );
  }
}

/** JSON writes a score that is not finite as null. */
function eventOf(line: string): RunEvent {
  const event = JSON.parse(line) as RunEvent;
  if (event.type !== 'evaluation.finished') return event;
  return {
    ...event,
    scores: Object.fromEntries(Object.entries(event.scores).map(([name, value]) => [name, value ?? NaN])),
  };
}

/**
 * All events that a run has told, in all its sessions; none where there is no run yet. Writes nothing: the run may be
 * under way in another process, which is just writing the last line.
 */
export function readRunEvents(folder: string): readonly RunEvent[] {
  const file = path.join(folder, 'events.jsonl');
  if (!existsSync(file)) return [];
  return wholeLines(readEventFile(file))
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      try {
        return eventOf(line);
      } catch (cause) {
        throw new TrainerError(
          'RUN_INVALID',
          `${file}:${index + 1} is no event (${(cause as Error).message}); the file was changed: mend or remove that line`,
          { cause },
        );
      }
    });
}

/**
 * The events of a type that can be read, for what is only said about a run: a damaged line is left out. Lines of other
 * types, of which a long run has many, are not parsed.
 */
export function eventsOfType<Type extends RunEvent['type']>(
  folder: string,
  type: Type,
): Extract<RunEvent, { readonly type: Type }>[] {
  const file = path.join(folder, 'events.jsonl');
  if (!existsSync(file) || !statSync(file).isFile()) return [];
  return readEventFile(file)
    .toString()
    .split('\n')
    .filter((line) => line.includes(`"type":"${type}"`))
    .flatMap((line) => {
      try {
        const event = JSON.parse(line) as RunEvent;
        return event.type === type ? [event as Extract<RunEvent, { readonly type: Type }>] : [];
      } catch {
        return [];
      }
    });
}

/** The kinds of formats by which a run read its training data, as far as it told; undefined: it told of none. */
export function recordedFormats(folder: string): readonly string[] | undefined {
  const kinds = eventsOfType(folder, 'data.read').flatMap(({ use, format }) => (use === 'train' ? [format] : []));
  return kinds.length === 0 ? undefined : [...new Set(kinds.filter((kind) => typeof kind === 'string'))];
}

/** Take a last line that a kill cut short off the file, so that the next event begins a line. The run alone does this. */
function removePartialLine(file: string): void {
  if (!existsSync(file)) return;
  const bytes = readEventFile(file);
  const whole = wholeLines(bytes);
  if (whole.length < bytes.length) truncateSync(file, whole.length);
}

const wholeLines = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1);
