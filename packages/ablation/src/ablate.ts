import { existsSync } from 'node:fs';
import path from 'node:path';
import type { FolderLock } from '@glulam/files';
import type { ModelSpec } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import {
  checkMemory,
  checkWatch,
  configError,
  describeModel,
  events as eventsToken,
  eventTime,
  noteDate,
  openBase,
  openData,
  openEvaluators,
  openInputs,
  openRunCheckpoint,
  openRunTokenizer,
  planRun,
  readRunEvents,
  recordDate,
  takeOverDate,
  train,
  type FetchProgress,
  type OpenBase,
  type RunConfig,
  type RunEvent,
  type TrainingData,
} from '@glulam/trainer';
import { checkAblationFolder, openAblationFolder, runFolder } from './ablation-folder.js';
import { AblationError } from './errors.js';
import { lockAblationFolder } from './lock-ablation-folder.js';
import { repeatableConfig } from './report/repeatable-config.js';
import { writeReport } from './report/write-report.js';
import { readOutcomes, type Outcome, type PlannedVariant } from './results/outcomes.js';
import type { AblationSettings } from './settings.js';
import { resolveVariants, type Variant } from './variants.js';

/** A run that the ablation comes to. */
export interface AblationRun {
  /** The variant's name. */
  readonly variant: string;
  /** The run's seed. */
  readonly seed: number;
  /** From 1. */
  readonly number: number;
  /** Runs in all. */
  readonly of: number;
  /** The run's folder. */
  readonly folder: string;
  /** It was finished in an earlier sitting: nothing is done for it. */
  readonly isFinished: boolean;
}

/** How an ablation runs. */
export interface AblateOptions {
  /** Aborting ends the run that is under way after its step, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Go on with the ablation that the folder holds; where it holds none, begin. */
  readonly resume?: boolean | undefined;
  /** Called before each run; the runs' own events are in the composition's stream. */
  readonly onRun?: ((run: AblationRun) => void) | undefined;
  /** Called while a base or data is downloaded. */
  readonly onFetch?: ((progress: FetchProgress) => void) | undefined;
}

/** How an ablation ended. */
export interface AblationResult {
  /** The ablation's folder. */
  readonly folder: string;
  /** It was ended by the signal: there is no report yet. */
  readonly stopped: boolean;
  /** report.md and report.html. */
  readonly reports: readonly string[];
  /** What the report says in short. */
  readonly findings: readonly string[];
  /** What became of each variant, in order; empty where it was stopped. */
  readonly outcomes: readonly Outcome[];
}

/**
 * Train and score every variant with every seed, on one base that is opened once and with the same data in the same
 * order, and report on them.
 *
 * @throws AblationError, and what `train` throws
 */
export async function ablate(
  asked: RunConfig,
  settings: AblationSettings,
  composition: Composition,
  options: AblateOptions = {},
): Promise<AblationResult> {
  const locks: FolderLock[] = [];
  try {
    return await ablateLocking(asked, settings, composition, options, locks);
  } finally {
    for (const { release } of locks) await release();
  }
}

async function ablateLocking(
  asked: RunConfig,
  settings: AblationSettings,
  composition: Composition,
  { signal = new AbortController().signal, resume = false, onRun, onFetch }: AblateOptions,
  locks: FolderLock[],
): Promise<AblationResult> {
  const given = resume ? takeOverDate(asked) : asked;
  const { out: folder } = given;
  checkScores(given, composition);
  checkAblationFolder(folder, resume);
  if (resume && existsSync(folder)) locks.push(await lockAblationFolder(folder, 'ablate'));
  const events = composition.get(eventsToken);
  const warn = (message: string): void => events.emit({ type: 'warning', time: eventTime(), message });
  const inputs = await openInputs(given, composition, { signal, warn, onProgress: onFetch ?? (() => {}) });
  const here = await inputs.fetch();
  const checkpoint = await openRunCheckpoint(here, composition);
  const { spec, documents } = checkpoint;
  const tokenizer = openRunTokenizer(here, documents, spec.vocabularySize);
  // All runs show the same date, whenever they are trained.
  const pinned = recordDate(inputs.pinned, tokenizer);
  const dateNote = noteDate(given, tokenizer);
  if (dateNote !== undefined) warn(dateNote);
  const variants = resolveVariants(pinned, settings.variants, composition, spec);
  const seeds = settings.seeds ?? [given.seed];
  // An adapter or expansion that does not fit is told before the data is tokenized, which may take long.
  checkModels(variants, composition, spec);
  const data = await openData({ ...here, seed: seeds[0]! }, composition, tokenizer, { signal });
  let planned: PlannedVariant[];
  try {
    planned = await planAll(variants, here, composition, data, signal);
  } finally {
    data.close();
  }
  signal.throwIfAborted();
  const whole = { ...pinned, ablation: { variants: variants.map((each) => each.settings), seeds } };
  if (locks.length === 0) {
    locks.push(await lockAblationFolder(folder, 'ablate'));
    // Another process may have begun and ended here meanwhile.
    checkAblationFolder(folder, resume);
  }
  await openAblationFolder(whole);

  const runs = listRuns(planned, seeds, whole);
  const names = variants.map(({ name }) => name);
  events.emit({ type: 'ablation.started', time: eventTime(), folder, variants: names, seeds, runs: runs.length });
  const base = await openBase(here, composition, { checkpoint });
  let stopped = false;
  try {
    for (const [index, { variant, config }] of runs.entries()) {
      const isFinished = hasFinished(config.out);
      const run = { variant, seed: config.seed, number: index + 1, of: runs.length, folder: config.out, isFinished };
      events.emit({ type: 'variant.started', time: eventTime(), ...run });
      onRun?.(run);
      if (isFinished) continue;
      stopped = await runOne(config, composition, base, signal);
      if (stopped) break;
      const value = watchedValue(config);
      events.emit({
        type: 'variant.finished',
        time: eventTime(),
        variant,
        seed: config.seed,
        folder: config.out,
        value,
      });
    }
  } finally {
    await base.close();
  }
  if (stopped) return { folder, stopped, reports: [], findings: [], outcomes: [] };
  const outcomes = readOutcomes(planned, runs, given.evaluate.watch);
  const written = await writeReport(whole, repeatableConfig(whole, composition), outcomes);
  events.emit({ type: 'ablation.finished', time: eventTime(), folder, ...written });
  return { folder, stopped, outcomes, ...written };
}

/** Whether it was interrupted. */
async function runOne(
  config: RunConfig,
  composition: Composition,
  base: OpenBase,
  signal: AbortSignal,
): Promise<boolean> {
  const begun = existsSync(path.join(config.out, 'config.json'));
  try {
    await train(config, composition, { signal, base, resume: begun, untrained: true });
  } catch (error) {
    // Stopped before the run had anything to keep; those before it are whole.
    if (signal.aborted && error === signal.reason) return true;
    throw error;
  }
  return signal.aborted && !hasFinished(config.out);
}

/** Every seed's variants stand together, so that those that are done can be compared. */
function listRuns(
  variants: readonly PlannedVariant[],
  seeds: readonly number[],
  { out, data }: RunConfig,
): { readonly variant: string; readonly config: RunConfig }[] {
  // What is not trained is the same with every seed, but where the seed chooses the held-out rows.
  const isSeeded = ({ plan }: PlannedVariant): boolean =>
    plan.parameters.trainable > 0 || typeof data.heldOut === 'number';
  return seeds.flatMap((seed, index) =>
    variants
      .filter((variant) => index === 0 || isSeeded(variant))
      .map(({ name, folder, config }) => ({
        variant: name,
        config: { ...config, seed, out: runFolder(out, folder, seed) },
      })),
  );
}

/** What each variant takes and is; what this machine cannot hold is refused before any of them is begun. */
async function planAll(
  variants: readonly Variant[],
  here: RunConfig,
  composition: Composition,
  data: TrainingData,
  signal: AbortSignal | undefined,
): Promise<PlannedVariant[]> {
  const planned: PlannedVariant[] = [];
  for (const variant of variants) {
    const plan = await planRun({ ...variant.config, base: here.base }, composition, { data, untrained: true, signal });
    // Its warnings come with the run.
    checkMemory(plan, () => {});
    planned.push({ ...variant, plan });
  }
  return planned;
}

/** The last sitting came to its end, by itself or by what asked it to stop early. */
function hasFinished(folder: string): boolean {
  const told = readRunEvents(folder);
  const sitting = told.slice(told.findLastIndex(({ type }) => type === 'run.started'));
  const wasInterrupted = (event: RunEvent): boolean => event.type === 'run.stopped' && event.reason === 'interrupted';
  return sitting.some(({ type }) => type === 'run.finished') && !sitting.some(wasInterrupted);
}

/** Every variant whose expansion or adapter cannot be used, at once. */
function checkModels(variants: readonly Variant[], composition: Composition, spec: ModelSpec): void {
  const faults = variants.flatMap(({ name, config }) => {
    try {
      describeModel(config, composition, spec);
      return [];
    } catch (cause) {
      if (typeof (cause as { code?: unknown }).code !== 'string') throw cause;
      return [{ message: `"${name}": ${(cause as Error).message}`, cause }];
    }
  });
  if (faults.length === 0) return;
  const messages = faults.map(({ message }) => message).join('\n  ');
  throw new AblationError('VARIANTS_INVALID', `variants cannot be used:\n  ${messages}`, { cause: faults[0]!.cause });
}

/**
 * The last watched score of a run. Which scores an evaluator gives is known once it has given them: a score that it does not
 * give is refused after the first run, not after the last.
 */
function watchedValue({ out, evaluate }: RunConfig): number | undefined {
  const { evaluator, score } = evaluate.watch;
  const scores = readRunEvents(out).flatMap((event) =>
    event.type === 'evaluation.finished' && event.evaluator === evaluator ? [event.scores] : [],
  );
  if (scores.some((each) => score in each)) return scores.at(-1)?.[score];
  throw configError([
    `evaluate.watch.score is "${score}", by which an ablation tells what is best; ${evaluator} gives ${Object.keys(scores.at(-1) ?? {}).join(', ')}: change it, and begin again`,
  ]);
}

/** Variants are compared by scores: there must be some, and the one that the best is told by. */
function checkScores(config: RunConfig, composition: Composition): void {
  const chosen = openEvaluators(config, composition).map(({ name }) => name);
  const { evaluator, score } = config.evaluate.watch;
  if (chosen.length === 0)
    throw configError([
      'an ablation compares scores, and there is nothing to evaluate: name a file as data.heldOut, or choose evaluators in evaluate.evaluators',
    ]);
  if (!chosen.includes(evaluator))
    throw configError([
      `evaluate.watch is ${evaluator}.${score}, by which an ablation tells what is best; evaluators of this config: ${chosen.join(', ')}`,
    ]);
  checkWatch(config, composition);
}
