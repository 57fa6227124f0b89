import { cp } from 'node:fs/promises';
import path from 'node:path';
import { writeFolderAtomic } from '@glulam/files';
import type { RunEvent } from '../events/events.js';
import { checkpointFolder } from './run-checkpoint.js';
import type { RunFolder } from './run-folder.js';
import { faultOfAdapter } from './run-steps.js';

/**
 * Bring best.json to where a resumed run stands. A kill after a checkpoint was written and before best.json was leaves the
 * earlier best there; where newer checkpoints are damaged it names a step that the run has yet to repeat.
 *
 * @param step of the checkpoint from which the run resumes
 * @param best the step with the best score of the recorded evaluations
 */
export async function settleBest(
  run: RunFolder,
  step: number,
  best: number | undefined,
  recorded: readonly RunEvent[],
): Promise<void> {
  const known = run.best()?.step;
  const isAhead = known !== undefined && known > step;
  const isBehind = best === step && (known === undefined || known < step);
  if (!isAhead && !isBehind) return;
  const folder = best === undefined ? undefined : checkpointFolder(run.folder, best);
  if (best === undefined || folder === undefined || faultOfAdapter(folder) !== undefined) {
    if (isAhead) await run.forgetBest();
    return;
  }
  const scores = scoresUpTo(recorded, best);
  await run.keepBest({ step: best, folder: path.relative(run.folder, folder), scores });
}

/** The last scores of each evaluator, up to a step. */
export function scoresUpTo(
  recorded: readonly RunEvent[],
  step: number,
): Record<string, Readonly<Record<string, number>>> {
  return Object.fromEntries(
    recorded.flatMap((event) =>
      event.type === 'evaluation.finished' && event.step <= step ? [[event.evaluator, event.scores]] : [],
    ),
  );
}

/**
 * Fill the adapter folder of a run at its end: with the adapter of the best checkpoint, where one was kept, else with that
 * of the last step. Gives the step whose adapter it is.
 */
export async function publishAdapter({
  run,
  step,
  adapterFolder,
  writeAdapter,
  warn,
}: {
  readonly run: RunFolder;
  /** The last one done. */
  readonly step: number;
  readonly adapterFolder: string;
  /** Writes the adapter of the last step. */
  readonly writeAdapter: (folder: string) => Promise<void>;
  readonly warn: (message: string) => void;
}): Promise<number> {
  const best = run.best()?.step;
  if (best !== undefined && best !== step) {
    const checkpoint = checkpointFolder(run.folder, best);
    const fault = faultOfAdapter(checkpoint);
    if (fault === undefined) {
      await writeFolderAtomic(adapterFolder, (folder) =>
        cp(path.join(checkpoint, 'adapter'), folder, { recursive: true }),
      );
      return best;
    }
    warn(`${fault}. It is the best checkpoint; ${adapterFolder} holds the adapter of the last step instead`);
  }
  await writeAdapter(adapterFolder);
  return step;
}
