import { createHash } from 'node:crypto';
import { closeSync, existsSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { isAdapterFolder, openRegularFile, readTextFile } from '@glulam/files';
import { z } from 'zod';
import { TrainerError } from '../errors.js';
import type { ScoredStep } from '../events/events.js';
import { checkpointFolder, checkpointSteps, readState } from './run-checkpoint.js';
import { eventsOfType, readBest, type BestCheckpoint } from './run-folder.js';
import { watchedName } from './watch-scores.js';

/** Which adapter of a run is meant: that of its best checkpoint, of its newest, or of a step. */
export type StepChoice = 'best' | 'last' | number;

/** An adapter of a run. */
export interface RunStep extends ScoredStep {
  /** The folder of the adapter's files: in a checkpoint, or the run's own `adapter`. */
  readonly adapterFolder: string;
}

/** What a run folder has, as far as its files say. Nothing is written: the run may be under way. */
export interface RunSteps {
  /** The run folder. */
  readonly folder: string;
  /** Of checkpoints and of the adapter folder, in order. */
  readonly steps: readonly number[];
  /** The newest of `steps`; undefined where there is none. */
  readonly last: ScoredStep | undefined;
  /** Where the run kept a checkpoint for its score. */
  readonly best: ScoredStep | undefined;
  /** Whose adapter the adapter folder holds; undefined where there is none, or nothing says it. */
  readonly held: ScoredStep | undefined;
  /** What the values are: `loss`, or the evaluator and the score. */
  readonly watched: string;
  /**
   * The adapter of a step, whose files are as they were written.
   *
   * @throws TrainerError STEP_NOT_FOUND
   */
  find(choice: StepChoice): RunStep;
}

/**
 * Read which adapters a run folder holds, and their scores. A damaged record of the best checkpoint is thrown by `find`
 * only.
 */
export function readRunSteps(folder: string): RunSteps {
  const { watched, valueAfter } = readScores(folder);
  const scored = (step: number): ScoredStep => ({ step, value: valueAfter(step) });
  const checkpoints = checkpointSteps(folder);
  const own = path.join(folder, 'adapter');
  const heldStep = isAdapterFolder(own) ? stepIn(folder, own, checkpoints) : undefined;
  const steps = [...new Set([...checkpoints, ...(heldStep === undefined ? [] : [heldStep])])].sort((a, b) => a - b);
  const best = ((): BestCheckpoint | TrainerError | undefined => {
    try {
      return readBest(folder);
    } catch (error) {
      if (error instanceof TrainerError) return error; // for whoever asks for the best
      throw error;
    }
  })();
  const bestStep = best instanceof TrainerError ? undefined : best?.step;
  /** Where the step's adapter lies whole, or what is wrong with it. */
  const locate = (step: number): { readonly at: string } | { readonly fault: string } => {
    const checkpoint = checkpointFolder(folder, step);
    const fault = checkpoints.includes(step) ? faultOfAdapter(checkpoint) : `${checkpoint} is not there`;
    if (fault === undefined) return { at: path.join(checkpoint, 'adapter') };
    return step === heldStep ? { at: own } : { fault };
  };
  const listed = (): string =>
    steps.length === 0 ? 'it has none yet' : `it has ${steps.map((step) => `step-${step}${roleOf(step)}`).join(', ')}`;
  const roleOf = (step: number): string => {
    const isLast = step === steps.at(-1);
    if (step === bestStep) return isLast ? ' (the best and the last)' : ' (the best)';
    return isLast ? ' (the last)' : '';
  };

  return {
    folder,
    steps,
    last: steps.length === 0 ? undefined : scored(steps.at(-1)!),
    best: bestStep === undefined ? undefined : scored(bestStep),
    held: heldStep === undefined ? undefined : scored(heldStep),
    watched,
    find(choice) {
      const missing = (fault: string): TrainerError =>
        new TrainerError(
          'STEP_NOT_FOUND',
          `${folder}@${typeof choice === 'number' ? `step-${choice}` : choice}: ${fault}; ${listed()}`,
        );
      if (choice === 'last') {
        // As a resumption does: damaged checkpoints are passed over.
        for (const step of [...steps].reverse()) {
          const found = locate(step);
          if ('at' in found) return { ...scored(step), adapterFolder: found.at };
        }
        throw missing('the run has no whole checkpoint');
      }
      if (choice === 'best' && best instanceof TrainerError) throw best;
      const step = choice === 'best' ? bestStep : choice;
      if (step === undefined) throw missing('the run kept no checkpoint for its score');
      if (choice !== 'best' && !steps.includes(step)) throw missing(`the run keeps no checkpoint of step ${step}`);
      const found = locate(step);
      if ('at' in found) return { ...scored(step), adapterFolder: found.at };
      throw missing(`step ${step} cannot be used (${found.fault})`);
    },
  };
}

/** What is wrong with the adapter of a checkpoint; undefined: its files are as they were written. */
export function faultOfAdapter(checkpoint: string): string | undefined {
  const state = readState(checkpoint);
  if (typeof state === 'string') return `${checkpoint} is damaged: ${state}`;
  const wrong = adapterFiles(state.files).find(([name, written]) => !isAsWritten(path.join(checkpoint, name), written));
  return wrong && `${checkpoint} is damaged: ${wrong[0]} is not as it was written`;
}

interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

const adapterFiles = (files: Readonly<Record<string, WrittenFile>>): [name: string, written: WrittenFile][] =>
  Object.entries(files).filter(([name]) => /^adapter\/[^/\\]+$/.test(name));

/** The step whose adapter a folder holds: by its content, else as the run told it where the checkpoint is gone. */
function stepIn(folder: string, adapter: string, checkpoints: readonly number[]): number | undefined {
  const told = eventsOfType(folder, 'adapter.saved').at(-1)?.step;
  const hashes = new Map<string, string>();
  const likely = told !== undefined && checkpoints.includes(told) ? [told] : [];
  const byContent = [...likely, ...checkpoints].find((step) => {
    const state = readState(checkpointFolder(folder, step));
    if (typeof state === 'string') return false;
    const files = adapterFiles(state.files);
    return (
      files.length > 0 && files.every(([name, written]) => isAsWritten(path.join(adapter, '..', name), written, hashes))
    );
  });
  return byContent ?? (likely.length === 0 ? told : undefined);
}

/** `hashes`: of files that were read before, by their names. */
function isAsWritten(file: string, { bytes, sha256 }: WrittenFile, hashes = new Map<string, string>()): boolean {
  const found = existsSync(file) ? statSync(file) : undefined;
  if (found?.isFile() !== true || found.size !== bytes) return false;
  const hash = hashes.get(file) ?? hashOf(file);
  hashes.set(file, hash);
  return hash === sha256;
}

function hashOf(file: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(2 ** 20);
  const opened = openRegularFile(file);
  try {
    for (let read; (read = readSync(opened, chunk)) > 0;) hash.update(chunk.subarray(0, read));
  } finally {
    closeSync(opened);
  }
  return hash.digest('hex');
}

const watchSchema = z.object({ evaluate: z.object({ watch: z.object({ evaluator: z.string(), score: z.string() }) }) });

/** The watched scores of a run, as it told them. A run that cannot be read in part has no scores, and works otherwise. */
function readScores(folder: string): { watched: string; valueAfter: (step: number) => number | undefined } {
  const config = watchSchema.safeParse(readJson(path.join(folder, 'config.json')));
  const watch = config.success ? config.data.evaluate.watch : { evaluator: 'loss', score: 'loss' };
  const values = new Map<number, number>();
  for (const { step, evaluator, scores } of eventsOfType(folder, 'evaluation.finished')) {
    const value = evaluator === watch.evaluator ? (scores as Record<string, unknown> | null)?.[watch.score] : undefined;
    // JSON has null for what is not finite.
    if (typeof value === 'number' || value === null) values.set(step, value ?? NaN);
  }
  return { watched: watchedName(watch), valueAfter: (step) => values.get(step) };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readTextFile(file));
  } catch {
    return undefined;
  }
}
