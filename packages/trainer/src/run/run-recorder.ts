import path from 'node:path';
import { writeAdapter as saveAdapter } from '@glulam/export';
import { scoresUpTo } from './best-checkpoint.js';
import { configError } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { eventTime } from '../events/event-time.js';
import { evaluateAll } from '../evaluate/samples/evaluate-all.js';
import type { OpenRun } from './open-run.js';
import { checkpointFolder, pruneCheckpoints, writeCheckpoint } from './run-checkpoint.js';
import { samplesFolder } from './run-folder.js';

/** What a run keeps of itself: scores and checkpoints. */
export interface RunRecorder {
  /** The last scores of each evaluator. */
  readonly scores: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Score the model as it is after `step` steps. If the run is aborted, it ends without scores. */
  evaluate(step: number): Promise<void>;
  /** Write a checkpoint, unless this step has one, and keep it as the best one where it is. */
  save(step: number, at: { readonly drawn: number; readonly best: boolean }): Promise<void>;
  /** Remove the checkpoints that are not kept. */
  prune(step: number): Promise<void>;
  /** Write the adapter as it is now to a folder. */
  writeAdapter(to: string): Promise<void>;
}

/** The recorder of an open run. */
export function createRecorder(open: OpenRun): RunRecorder {
  const { config, pinned, events, signal, warn, folder: run, model, optimizer, engine, identity, steps } = open;
  const { decoder } = model;
  const { folder } = run;
  // If the base's files change during a run, nothing more is saved.
  const baseFiles = decoder.checkpoint.files;
  const scores = scoresUpTo(open.recorded, open.progress.step);
  let savedAt = open.isResumed ? open.progress.step : -1;

  const writeAdapter = (to: string): Promise<void> =>
    saveAdapter(decoder, to, { base: pinned.base, adapter: model.adapterChoice });
  const prune = (step: number): Promise<void> =>
    pruneCheckpoints(folder, { keep: config.checkpoint.keep, step, best: run.best()?.step });

  return {
    scores,
    writeAdapter,
    prune,
    async evaluate(step) {
      try {
        const samples = samplesFolder(folder, step);
        const context = { decoder, tokenizer: open.tokenizer, heldOut: open.data.heldOut, signal, warn };
        const now = open.evaluators.filter(({ when }) => when === 'always' || step >= steps);
        const onProgress = (evaluator: string, done: number, total: number): void =>
          events.emit({ type: 'evaluation.running', time: eventTime(), step, evaluator, done, total });
        for await (const found of evaluateAll(now, context, { samples, onOther: 'replace', onProgress })) {
          checkScores(found, config.evaluate.watch, step >= steps, warn);
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
    },
    async save(step, { drawn, best }) {
      if (savedAt === step && !best) return;
      baseFiles.checkUnchanged();
      const to = checkpointFolder(folder, step);
      if (savedAt !== step) {
        const { choice } = decoder.engine;
        await writeCheckpoint(to, decoder, optimizer, { step, drawn, engine, choice, ...identity }, writeAdapter);
        savedAt = step;
      }
      if (best) await run.keepBest({ step, folder: path.relative(folder, to), scores });
      await prune(step);
      events.emit({ type: 'checkpoint.saved', time: eventTime(), step, folder: to, best });
    },
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
