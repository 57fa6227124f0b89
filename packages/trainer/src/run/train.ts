import { existsSync } from 'node:fs';
import path from 'node:path';
import { writeAdapter as saveAdapter } from '@glulam/export';
import { sampleHash, whileUnchanged } from '@glulam/files';
import { families, openCheckpoint } from '@glulam/model';
import type { Composition } from '@glulam/plugin';
import { tap } from 'rxjs';
import { labelBatch } from '../step/batches.js';
import { publishAdapter, scoresUpTo, settleBest } from './best-checkpoint.js';
import { readBaseLicence } from '../card/base-card.js';
import { scoreAfter, tellStory } from '../card/run-story.js';
import { writeCard } from '../card/write-card.js';
import { checkWatch } from '../config/check-watch.js';
import { choose, configError } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { openRunTokenizer } from '../data/prompt/chat-template-choice.js';
import { dataFilesOf, openData, runSteps, type FilePlace } from '../data/open-data.js';
import { openPromptForm } from '../data/prompt/prompt-form.js';
import { recordDate, shownDate, takeOverDate } from '../data/prompt/run-date.js';
import { describeModel } from '../open/describe-model.js';
import { TrainerError } from '../errors.js';
import { cutOffRejections } from '../events/event-stream.js';
import { eventTime } from '../events/event-time.js';
import { events as eventsToken, type RunEvent, type RunEvents, type ScoredStep } from '../events/events.js';
import { openEvaluators } from '../evaluate/open-evaluators.js';
import { checkGiven, givenInCode, givenSchedule } from '../config/given-in-code.js';
import { openInputs } from '../open/inputs.js';
import { openModel, type OpenBase } from '../open/open-model.js';
import { openReporter } from '../events/open-reporter.js';
import { createOptimizer } from '../step/optimizer.js';
import { checkMemory } from '../plan/check-memory.js';
import { watchAnonymousMemory } from '../plan/anonymous-memory.js';
import { planRun } from '../plan/plan-run.js';
import { reporters } from '../events/reporter.js';
import {
  checkpointFolder,
  findCheckpoint,
  pruneCheckpoints,
  readOptimizer,
  type RunProgress,
  writeCheckpoint,
} from './run-checkpoint.js';
import { recordSchedule, tabulateSchedule, takeOverSchedule } from './recorded-schedule.js';
import { checkOtherRuns, checkRunFolder, lockRunFolder, openRunFolder, samplesFolder } from './run-folder.js';
import { evaluateAll } from '../evaluate/samples/evaluate-all.js';
import { learningRateAt, type Schedule } from '../step/schedule.js';
import type { FetchProgress } from '../open/source.js';
import { trainStep } from '../step/train-step.js';
import { watchedName, watchScores } from './watch-scores.js';

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

/** How a run ended. */
export interface TrainResult {
  /** The run folder. */
  readonly folder: string;
  /** The adapter, as PEFT reads it where PEFT has its like. */
  readonly adapterFolder: string;
  /** Optimizer steps done, those before a resumption included. */
  readonly steps: number;
  /** The last step, with its watched score where it was taken. */
  readonly last: ScoredStep;
  /** The step whose checkpoint was kept for its score, where one was. */
  readonly best: ScoredStep | undefined;
  /** The step whose adapter the adapter folder holds: the best, or else the last. */
  readonly adapterStep: number;
  /** Why the run ended before its last step. */
  readonly stopped: string | undefined;
  /** Scores of the last evaluation, by evaluator. */
  readonly scores: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Train an adapter on an expanded model: one run, from its config to its folder. */
export async function train(
  config: RunConfig,
  composition: Composition,
  options: TrainOptions = {},
): Promise<TrainResult> {
  const events = composition.get(eventsToken);
  const closers: Closer[] = [cutOffRejections()];
  let result: TrainResult;
  try {
    result = await trainOpening(config, composition, options, closers);
  } catch (error) {
    events.emit(failed(error));
    await closeAll(closers);
    throw error;
  }
  const [failure] = await closeAll(closers);
  if (failure !== undefined) throw failure.error;
  return result;
}

type Closer = () => void | Promise<void>;

/** The run itself; what it opens goes into `closers`. */
async function trainOpening(
  asked: RunConfig,
  composition: Composition,
  { signal = new AbortController().signal, resume = false, base, untrained = false }: TrainOptions,
  closers: Closer[],
): Promise<TrainResult> {
  const [started, startedAt] = [eventTime(), performance.now()];
  const given = resume ? takeOverSchedule(takeOverDate(asked)) : asked;
  const { out: folder, train: settings, evaluate: evaluation, seed } = given;
  const events = composition.get(eventsToken);
  const adapterFolder = path.join(folder, 'adapter');
  const warn = (message: string): void => events.emit({ type: 'warning', time: eventTime(), message });

  // What is told before there is a run folder is written into it first.
  const early: RunEvent[] = [];
  let record = (event: RunEvent): void => void early.push(event);
  const logging = events.listen('run folder', (stream) => stream.pipe(tap((event) => record(event))));
  closers.push(() => logging.unsubscribe());

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
    const { release } = await lockRunFolder(folder);
    closers.push(release);
  };
  // Before its checkpoints are looked at: another process may be writing them.
  const isLocked = resume && existsSync(folder);
  if (isLocked) await lock();
  const config = await inputs.fetch();
  const chosen = openEvaluators(config, composition);
  const checkpoint = resume ? await findCheckpoint(folder, warn) : undefined;
  const { spec, warnings, files: filesBefore } = openCheckpoint(config.base, composition.all(families));
  // An expansion or adapter that does not fit is told before the data is tokenized, which may take long.
  const described = describeModel(config, composition, spec);
  const tokenizer = openRunTokenizer(config, spec.vocabularySize);
  // A template that shows the date shows the same one whenever the run is resumed.
  const dated = recordDate(inputs.pinned, tokenizer);
  for (const warning of [...warnings, ...described.warnings, ...tokenizer.warnings]) warn(warning);
  const data = await openData(config, composition, tokenizer, { signal, onProgress: tellReading(events) });
  closers.push(() => data.close());
  const { schedule, config: pinned } = openSchedule(dated, composition, runSteps(config, data));
  const plan = await planRun(config, composition, { data, untrained, signal });
  checkMemory(plan, warn);
  const memory = watchAnonymousMemory();
  closers.push(() => memory.stop());
  const model = await openModel(config, composition, {
    ...{ tokenizer, base, adapterFolder: checkpoint?.adapterFolder },
    engineChoice: checkpoint?.progress.choice,
    signal,
  });
  closers.push(() => model.close());
  const { decoder } = model;
  // Nothing that a base gave which changed meanwhile is reported or kept.
  const baseFiles = decoder.checkpoint.files;
  // The tokenizer was read before the model was opened.
  filesBefore.checkUnchanged();
  const engine = `${decoder.engine.kind} (${decoder.engine.description}), ${decoder.engine.precision}`;
  const dataSize = {
    examples: data.examples,
    tokens: data.reports.reduce((sum, { tokens }) => sum + tokens, 0),
    sha256: data.sha256,
  };
  const baseHash = sampleHash(baseFiles.files);
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
    record = () => {};
    run.close();
  });
  record = (event) => run.write(event);
  early.forEach(record);
  const { beta1, beta2, epsilon, weightDecay } = settings;
  const optimizer = createOptimizer(
    decoder.ops,
    decoder.parameters,
    { beta1, beta2, epsilon, weightDecay, learningRateFactors: decoder.learningRateFactors },
    checkpoint && readOptimizer(checkpoint),
  );
  closers.push(() => optimizer.close());
  const steps = decoder.parameters.size === 0 ? 0 : runSteps(config, data);
  const batches = data.batches(progress.drawn);
  let { step } = progress;
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
    ...(checkpoint === undefined ? {} : { resumedFrom: step }),
  });
  for (const report of data.reports) events.emit({ type: 'data.read', time: eventTime(), ...report });
  if (resume && checkpoint === undefined)
    warn(`${folder} has no checkpoint to go on from: the run begins at the first step`);
  const recorded = run.recorded.filter((event) => event.type === 'evaluation.finished' && event.step <= progress.step);
  const watching = watchScores(events, evaluation, recorded);
  closers.push(watching.close);
  if (resume) await settleBest(run, step, watching.best()?.step, recorded);

  const scores = scoresUpTo(recorded, step);
  const evaluate = async (): Promise<void> => {
    try {
      const samples = samplesFolder(folder, step);
      const context = { decoder, tokenizer, heldOut: data.heldOut, signal, warn };
      const now = chosen.filter(({ when }) => when === 'always' || step >= steps);
      for await (const found of evaluateAll(now, context, { samples, onOther: 'replace' })) {
        checkScores(found, evaluation.watch, step >= steps, warn);
        scores[found.name] = found.scores;
        events.emit({
          type: 'evaluation.finished',
          time: eventTime(),
          step,
          evaluator: found.name,
          scores: found.scores,
        });
      }
    } catch (error) {
      // Aborted: the run ends with its checkpoint, without these scores.
      if (!signal.aborted) throw error;
    }
  };
  const writeAdapter = (to: string): Promise<void> =>
    saveAdapter(decoder, to, { base: pinned.base, adapter: model.adapterChoice });
  const prune = (): Promise<void> =>
    pruneCheckpoints(folder, { keep: config.checkpoint.keep, step, best: run.best()?.step });
  let savedAt = checkpoint === undefined ? -1 : step;
  const save = async (best: boolean): Promise<void> => {
    if (savedAt === step && !best) return;
    baseFiles.checkUnchanged();
    const to = checkpointFolder(folder, step);
    if (savedAt !== step) {
      const { choice } = decoder.engine;
      const saved = { step, drawn: batches.drawn, engine, choice, data: dataSize, base: baseHash };
      await writeCheckpoint(to, decoder, optimizer, saved, writeAdapter);
      savedAt = step;
    }
    if (best) await run.keepBest({ step, folder: path.relative(folder, to), scores });
    await prune();
    events.emit({ type: 'checkpoint.saved', time: eventTime(), step, folder: to, best });
  };
  const isDue = (every: number): boolean => step === steps || (every > 0 && step % every === 0);

  const evaluated = recorded.some((event) => event.type === 'evaluation.finished' && event.step === step);
  if (!evaluated && (step === 0 || isDue(evaluation.every))) await evaluate();
  const atStart = events.takeRequests();
  if (atStart.has('keep best') && step > 0) await save(true);
  let stopped = signal.aborted ? 'interrupted' : atStart.get('stop');
  while (step < steps && stopped === undefined) {
    const begun = performance.now();
    const learningRate = learningRateAt(schedule, step);
    const micro = Array.from({ length: settings.accumulate }, () => labelBatch(batches.next()));
    const { maxGradientNorm, recompute } = settings;
    const result = await whileUnchanged(baseFiles, () =>
      trainStep(decoder, optimizer, micro, { step, seed, learningRate, maxGradientNorm, recompute }),
    );
    const { loss, gradientNorm, tokens } = result;
    step += 1;
    events.emit({
      type: 'step.finished',
      time: eventTime(),
      step,
      steps,
      loss,
      gradientNorm,
      learningRate,
      tokens,
      tokensPerSecond: tokens / ((performance.now() - begun) / 1000),
    });

    // Between steps: what is due, and what was asked for. The best of evaluations is known once they are told.
    const asked = events.takeRequests();
    if (isDue(evaluation.every) || asked.has('evaluate')) await evaluate();
    const then = events.takeRequests();
    if (signal.aborted) stopped = 'interrupted';
    else if (asked.has('stop') || then.has('stop')) stopped = asked.get('stop') ?? then.get('stop') ?? 'on request';
    const best = then.has('keep best') || asked.has('keep best');
    if (best || asked.has('checkpoint') || isDue(config.checkpoint.every) || stopped !== undefined) await save(best);
    run.check();
  }
  if (stopped !== undefined) {
    await save(false);
    events.emit({ type: 'run.stopped', time: eventTime(), step, reason: stopped });
  }
  baseFiles.checkUnchanged();
  await prune(); // a kill may have left some, and no step came after it
  const adapterStep = await publishAdapter({ run, step, adapterFolder, writeAdapter, warn });
  const seconds = (performance.now() - startedAt) / 1000;
  const finished: RunEvent = { type: 'run.finished', time: eventTime(), folder, seconds, peakBytes: memory.peak() };
  const story = tellStory([...run.told(), finished]);
  const scored = (at: number): ScoredStep => ({ step: at, value: scoreAfter(story, evaluation.watch, at) });
  const last = scored(step);
  const best = run.best()?.step === adapterStep ? scored(adapterStep) : undefined;
  events.emit({
    type: 'adapter.saved',
    time: eventTime(),
    step: adapterStep,
    folder: adapterFolder,
    last,
    best,
    watched: watchedName(evaluation.watch),
  });
  const card = path.join(folder, 'README.md');
  try {
    const written = await writeCard(folder, {
      ...{ config: pinned, plan, engine, step, steps, adapter: model.adapterChoice, last, best },
      story,
      licence: readBaseLicence(config.base),
      dataNames: new Map(dataFilesOf(config).map((file, index) => [file, dataFilesOf(pinned)[index]!])),
      isPeft: existsSync(path.join(adapterFolder, 'adapter_config.json')),
      prompt: await openPromptForm(config, composition, {
        recorded: story.data.flatMap(({ use, format }) => (use === 'train' ? [format] : [])),
      }),
    });
    if (!written) warn(`${card} was edited and stays as it is; rename it for a new model card`);
  } catch (error) {
    // The run itself is whole.
    warn(`${card}, the model card, was not written: ${(error as Error).message}`);
  }
  events.emit({ ...finished, time: eventTime() });
  run.check();
  return { folder, adapterFolder, steps: step, last, best, adapterStep, stopped, scores };
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

/** Close in the reverse order of opening; what cannot be closed keeps nothing else open. */
async function closeAll(closers: readonly Closer[]): Promise<{ readonly error: unknown }[]> {
  const failures: { readonly error: unknown }[] = [];
  for (const close of closers.toReversed()) {
    try {
      await close();
    } catch (error) {
      failures.push({ error });
    }
  }
  return failures;
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

/** A misspelt score is refused as soon as its evaluator has scored, but for the last step: a finished run is not lost. */
function checkScores(
  { name, scores }: { readonly name: string; readonly scores: Readonly<Record<string, number>> },
  watch: RunConfig['evaluate']['watch'],
  isEnd: boolean,
  warn: (message: string) => void,
): void {
  for (const [score, value] of Object.entries(scores))
    if (!Number.isFinite(value)) warn(`the evaluator ${name} gives ${value} as ${score}`);
  if (name !== watch.evaluator || watch.score in scores) return;
  const fault = `evaluate.watch.score is "${watch.score}"; the evaluator ${name} gives ${Object.keys(scores).join(', ')}`;
  if (!isEnd) throw configError([fault]);
  warn(`${fault}: no best checkpoint was kept`);
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

function failed(error: unknown): RunEvent {
  const code = (error as { code?: unknown }).code;
  return {
    type: 'run.failed',
    time: eventTime(),
    code: typeof code === 'string' ? code : 'UNEXPECTED',
    message: error instanceof Error ? error.message : String(error),
  };
}
