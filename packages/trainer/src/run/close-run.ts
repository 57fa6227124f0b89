import { existsSync } from 'node:fs';
import path from 'node:path';
import { publishAdapter } from './best-checkpoint.js';
import { readBaseLicence } from '../card/base-card.js';
import { scoreAfter, tellStory } from '../card/run-story.js';
import { writeCard } from '../card/write-card.js';
import { dataFilesOf } from '../data/open-data.js';
import { openPromptForm } from '../data/prompt/prompt-form.js';
import { eventTime } from '../events/event-time.js';
import type { RunEvent, ScoredStep } from '../events/events.js';
import type { OpenRun } from './open-run.js';
import type { LoopEnd } from './run-loop.js';
import type { RunRecorder } from './run-recorder.js';
import { watchedName } from './watch-scores.js';

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

/** The end of a run whose steps are done: its adapter, its model card and its last events. */
export async function closeRun(open: OpenRun, recorder: RunRecorder, { step, stopped }: LoopEnd): Promise<TrainResult> {
  const { config, pinned, composition, events, warn, folder: run, model, plan, engine, steps } = open;
  const { evaluate: evaluation } = config;
  const { folder } = run;
  const adapterFolder = path.join(folder, 'adapter');
  model.decoder.checkpoint.files.checkUnchanged();
  await recorder.prune(step); // a kill may have left some, and no step came after it
  const { writeAdapter, scores } = recorder;
  const adapterStep = await publishAdapter({ run, step, adapterFolder, writeAdapter, warn });
  const seconds = (performance.now() - open.startedAt) / 1000;
  const finished: RunEvent = { type: 'run.finished', time: eventTime(), folder, seconds, peakBytes: open.peakBytes() };
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
