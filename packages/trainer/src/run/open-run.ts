import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { sampleHash } from '@glulam/files';
import type { Tokenizer } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { settleBest } from './best-checkpoint.js';
import { checkWatch } from '../config/check-watch.js';
import { choose } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { openControl } from '../control/open-control.js';
import { openRunTokenizer } from '../data/prompt/chat-template-choice.js';
import { openData, runSteps, type FilePlace, type TrainingData } from '../data/open-data.js';
import { recordDate, shownDate, takeOverDate } from '../data/prompt/run-date.js';
import { describeCopies } from '../open/describe-copies.js';
import { describeModel } from '../open/describe-model.js';
import { TrainerError } from '../errors.js';
import { eventTime } from '../events/event-time.js';
import { events as eventsToken, type RunEvent, type RunEvents } from '../events/events.js';
import { openEvaluators, type OpenEvaluator } from '../evaluate/open-evaluators.js';
import { checkGiven, givenInCode, givenSchedule } from '../config/given-in-code.js';
import { openInputs } from '../open/inputs.js';
import { openRunCheckpoint, type OpenBase } from '../open/open-base.js';
import { openModel, type OpenModel } from '../open/open-model.js';
import { openReporter } from '../events/open-reporter.js';
import { createOptimizer, type Optimizer } from '../step/optimizer.js';
import { checkMemory } from '../plan/check-memory.js';
import { watchAnonymousMemory } from '../plan/anonymous-memory.js';
import { planRun, type RunPlan } from '../plan/plan-run.js';
import { reporters } from '../events/reporter.js';
import { findCheckpoint, readOptimizer, type RunProgress } from './run-checkpoint.js';
import { recordSchedule, tabulateSchedule, takeOverSchedule } from './recorded-schedule.js';
import {
  checkOtherRuns,
  checkRunFolder,
  lockRunFolder,
  openRunFolder,
  readRunEvents,
  type RunFolder,
} from './run-folder.js';
import type { Schedule } from '../step/schedule.js';
import type { FetchProgress } from '../open/source.js';
import { watchScores } from './watch-scores.js';

/** Options of `train`. */
export interface TrainOptions {
  /** Aborting ends the run after the step it is in, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Go on from the run folder's newest whole checkpoint; where there is none, begin. */
  readonly resume?: boolean | undefined;
  /** A base that is open already and stays open, for several runs on it; default: one of the run's own. */
  readonly base?: OpenBase | undefined;
  /** A model that has nothing to train is a run of no steps, which scores it; default: it is refused. */
  readonly untrained?: boolean | undefined;
}

/** Undoes one thing that was opened. */
export type Closer = () => void | Promise<void>;

/** A run with everything open: what its loop, its recorder and its end work with. */
export interface OpenRun {
  /** With paths of this machine. */
  readonly config: RunConfig;
  /** As the run folder has it: with revisions and dates that repeat the run. */
  readonly pinned: RunConfig;
  readonly composition: Composition;
  readonly events: RunEvents;
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
  readonly folder: RunFolder;
  readonly data: TrainingData;
  readonly tokenizer: Tokenizer;
  readonly evaluators: readonly OpenEvaluator[];
  readonly schedule: Schedule;
  readonly plan: RunPlan;
  readonly model: OpenModel;
  readonly optimizer: Optimizer;
  /** The engine with its kernels and precision, for people. */
  readonly engine: string;
  /** What checkpoints say of the data and the base; both must be the same when the run is resumed. */
  readonly identity: Pick<RunProgress, 'data' | 'base'>;
  /** Where the run stands: steps done and examples drawn. */
  readonly progress: Pick<RunProgress, 'step' | 'drawn'>;
  /** The run was resumed from a checkpoint. */
  readonly isResumed: boolean;
  /** Of the whole run; 0 where nothing is trained. */
  readonly steps: number;
  /** Evaluations of earlier sessions, up to where the run stands. */
  readonly recorded: readonly RunEvent[];
  /** When it was begun, by `performance.now()`. */
  readonly startedAt: number;
  /** The most memory that the process has held so far beyond mapped files, in bytes. */
  peakBytes(): number;
}

/**
 * Open everything that a run needs. What can be refused is refused before the run folder is touched.
 *
 * @param closers gets what closes each thing, in the order of opening
 */
export async function openRun(
  asked: RunConfig,
  composition: Composition,
  { signal = new AbortController().signal, resume = false, base, untrained = false }: TrainOptions,
  closers: Closer[],
): Promise<OpenRun> {
  const [started, startedAt] = [eventTime(), performance.now()];
  const given = resume ? takeOverSchedule(takeOverDate(asked)) : asked;
  const { out: folder, train: settings, evaluate: evaluation } = given;
  const events = composition.get(eventsToken);
  const early: RunEvent[] = [];
  const before = resume ? readRunEvents(folder) : [];
  const id = before.find(({ run }) => run !== undefined)?.run ?? randomUUID();
  // Events from before the run folder exists are written into it first.
  let add = (event: RunEvent): void => void early.push(event);
  let past = (): readonly RunEvent[] => [...before, ...early];
  closers.push(events.within(id, { add: (event) => add(event), past: () => past() }));
  const warn = (message: string): void => events.emit({ type: 'warning', time: eventTime(), message });

  // Everything that can be refused is refused before the folder is touched.
  openEvaluators(given, composition);
  checkWatch(given, composition);
  if (!resume) {
    await checkOtherRuns(folder);
    checkRunFolder(given, resume);
  }
  checkGiven(given, composition);
  for (const choice of composition.get(givenInCode).reporters ?? given.reporters) {
    const { contribution, options } = choose(composition, reporters, 'reporters', choice);
    closers.push(openReporter(contribution, options, events));
  }
  for (const warning of composition.warnings) warn(warning);
  // What is written down repeats the run; what is opened is on this machine.
  const inputs = await openInputs(given, composition, { signal, warn, onProgress: tellFetching(events) });
  if (resume) checkRunFolder(inputs.pinned, resume);
  const lock = async (): Promise<void> => {
    const control = await openControl(id, path.resolve(folder), events, warn);
    closers.push(control.close);
    const { release } = await lockRunFolder(folder, control.address);
    closers.push(release);
  };
  // Before its checkpoints are looked at: another process may be writing them.
  const isLocked = resume && existsSync(folder);
  if (isLocked) await lock();
  const config = await inputs.fetch();
  const chosen = openEvaluators(config, composition);
  const checkpoint = resume ? await findCheckpoint(folder, warn) : undefined;
  // Looked through once: description, plan and model go by it, and so does the check of what has changed since.
  const opened = base?.checkpoint ?? (await openRunCheckpoint(config, composition));
  const { spec, warnings, documents } = opened;
  // An expansion or adapter that does not fit is refused before the data is tokenized, which may take long.
  const described = describeModel(config, composition, spec);
  const tokenizer = openRunTokenizer(config, documents, spec.vocabularySize);
  // A template that shows the date shows the same one whenever the run is resumed.
  const dated = recordDate(inputs.pinned, tokenizer);
  for (const warning of [...warnings, ...described.warnings, ...tokenizer.warnings]) warn(warning);
  const data = await openData(config, composition, tokenizer, { signal, onProgress: tellReading(events) });
  closers.push(() => data.close());
  const { schedule, config: pinned } = openSchedule(dated, composition, runSteps(config, data));
  const plan = await planRun(config, composition, { data, checkpoint: opened, described, untrained, signal });
  checkMemory(plan, warn);
  const memory = watchAnonymousMemory();
  closers.push(() => memory.stop());
  const model = await openModel(config, composition, {
    ...{ tokenizer, base, checkpoint: opened, described, adapterFolder: checkpoint?.adapterFolder },
    engineChoice: checkpoint?.progress.choice,
    signal,
  });
  closers.push(() => model.close());
  const { decoder } = model;
  for (const warning of describeCopies(decoder.engine)) warn(warning);
  const baseFiles = decoder.checkpoint.files;
  // The tokenizer was read before the model was opened.
  baseFiles.checkUnchanged();
  const engine = `${decoder.engine.kind} (${decoder.engine.description}), ${decoder.engine.precision}`;
  const dataSize = {
    examples: data.examples,
    tokens: data.reports.reduce((sum, { tokens }) => sum + tokens, 0),
    sha256: data.sha256,
  };
  const identity = baseFiles.identity?.();
  if (identity === undefined && baseFiles.files.length === 0)
    warn(
      `the reader of ${config.base} names no files and no identity of the weights: a resumed run cannot tell whether they changed`,
    );
  const baseHash = identity ?? sampleHash(baseFiles.files);
  const progress = checkpoint?.progress ?? { step: 0, drawn: 0, engine, data: dataSize, base: baseHash };
  checkSameBase(progress, baseHash, config.base);
  const date = given.data.date === undefined ? shownDate(tokenizer) : undefined;
  checkProgress(progress, engine, dataSize, warn, date);
  signal.throwIfAborted();

  if (!isLocked) {
    await lock();
    // Another process may have begun and ended a run here in the meantime.
    checkRunFolder(pinned, resume);
  }
  const run = await openRunFolder(pinned);
  closers.push(() => {
    add = () => {};
    run.close();
  });
  add = (event) => run.write(event);
  early.forEach(add);
  past = () => run.told();
  const { beta1, beta2, epsilon, weightDecay } = settings;
  const optimizer = createOptimizer(
    decoder.ops,
    decoder.parameters,
    { beta1, beta2, epsilon, weightDecay, learningRateFactors: decoder.learningRateFactors },
    checkpoint && readOptimizer(checkpoint),
  );
  closers.push(() => optimizer.close());
  const steps = decoder.parameters.size === 0 ? 0 : runSteps(config, data);
  const { step } = progress;
  events.emit({
    type: 'run.started',
    time: started,
    folder,
    engine,
    physicalLayers: decoder.spec.layers.length,
    virtualLayers: decoder.layers.length,
    trainableParameters: [...decoder.parameters.values()].reduce((sum, { size }) => sum + size, 0),
    steps,
    examples: data.examples,
    plan,
    ...(checkpoint === undefined ? {} : { resumedFrom: step }),
  });
  for (const report of data.reports) events.emit({ type: 'data.read', time: eventTime(), ...report });
  if (resume && checkpoint === undefined)
    warn(`${folder} has no checkpoint to go on from: the run begins at the first step`);
  const recorded = run.recorded.filter((event) => event.type === 'evaluation.finished' && event.step <= progress.step);
  const watching = watchScores(events, evaluation, recorded);
  closers.push(watching.close);
  if (resume) await settleBest(run, step, watching.best()?.step, recorded);

  return {
    config,
    pinned,
    composition,
    events,
    signal,
    warn,
    folder: run,
    data,
    tokenizer,
    evaluators: chosen,
    schedule,
    plan,
    model,
    optimizer,
    engine,
    identity: { data: dataSize, base: baseHash },
    progress,
    isResumed: checkpoint !== undefined,
    steps,
    recorded,
    startedAt,
    peakBytes: () => memory.peak(),
  };
}

/** The run's schedule, and the config with the hash of one that was passed in code. */
function openSchedule(
  config: RunConfig,
  composition: Composition,
  steps: number,
): { readonly schedule: Schedule; readonly config: RunConfig } {
  const { schedule: kind, learningRate: peak, warmupSteps } = config.train;
  if (typeof kind === 'string') return { schedule: { kind, peak, warmupSteps, steps }, config };
  const table = tabulateSchedule(givenSchedule(composition), { steps, warmupSteps, learningRate: peak });
  return {
    schedule: { kind: table.schedule, peak, warmupSteps, steps },
    config: recordSchedule(config, table.sha256),
  };
}

/** A base takes minutes to hours to download: told once a second, and when all of an input is here. */
function tellFetching(events: RunEvents): (progress: FetchProgress) => void {
  let told = -Infinity;
  return (progress) => {
    const now = performance.now();
    if (now - told < 1000 && progress.bytes < progress.totalBytes) return;
    told = now;
    events.emit({ type: 'input.fetching', time: eventTime(), ...progress });
  };
}

/** A large file takes minutes the first time: told once a second. */
function tellReading(events: RunEvents): (file: string, rows: number, among?: FilePlace) => void {
  let told = performance.now();
  return (file, rows, among) => {
    const now = performance.now();
    if (now - told < 1000) return;
    told = now;
    const time = eventTime();
    events.emit({ type: 'data.reading', time, file, rows, ...(among === undefined ? {} : { among }) });
  };
}

/** Other weights under the same name would give other losses without a word. */
function checkSameBase({ base }: RunProgress, now: string, folder: string): void {
  if (base === undefined || base === now) return;
  throw new TrainerError(
    'RUN_CHANGED',
    `the weights in ${folder} are not those that the run was begun with; restore its files as they were, or begin a new run with --out`,
  );
}

/** Other data would give other losses without a word; another engine gives them with one. */
function checkProgress(
  before: Pick<RunProgress, 'engine' | 'data'>,
  engine: string,
  data: RunProgress['data'],
  warn: (message: string) => void,
  unrecordedDate: string | undefined,
): void {
  if (before.data.sha256 !== data.sha256) {
    const date =
      unrecordedDate === undefined
        ? ''
        : `. The chat template shows the date, now ${unrecordedDate}, and the run recorded none: write the day on which it was begun into its config.json as data.date`;
    throw new TrainerError(
      'RUN_CHANGED',
      `the data changed since the run was begun: it had ${before.data.examples} training examples and ${before.data.tokens} tokens ` +
        `in all, now ${data.examples} and ${data.tokens}; bring the files back, or begin a new run with --out${date}`,
    );
  }
  if (before.engine !== engine)
    warn(
      `the run was begun on the engine ${before.engine} and continues on ${engine}: losses may differ in the last digits`,
    );
}
