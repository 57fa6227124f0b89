import type { Composition } from '@glulam/plugin';
import type { RunConfig } from '../config/config.js';
import { cutOffRejections } from '../events/event-stream.js';
import { eventTime } from '../events/event-time.js';
import { events as eventsToken, type RunEvent } from '../events/events.js';
import { closeRun, type TrainResult } from './close-run.js';
import { openRun, type Closer, type TrainOptions } from './open-run.js';
import { runLoop } from './run-loop.js';
import { createRecorder } from './run-recorder.js';

/**
 * Train an adapter on an expanded model: one run, from its config to its folder, in a scope of its own. Runs beside each other in
 * one composition share nothing that a plugin made for a run.
 */
export async function train(config: RunConfig, outer: Composition, options: TrainOptions = {}): Promise<TrainResult> {
  // Warnings are those of whoever composed the plugins, who may have added to them.
  const composition = { ...outer.begin('run'), warnings: outer.warnings };
  const events = composition.get(eventsToken);
  const closers: Closer[] = [() => composition.end(), cutOffRejections()];
  let result: TrainResult;
  try {
    const run = await openRun(config, composition, options, closers);
    const recorder = createRecorder(run);
    result = await closeRun(run, recorder, await runLoop(run, recorder));
  } catch (error) {
    events.emit(failed(error));
    await closeAll(closers);
    throw error;
  }
  const [failure] = await closeAll(closers);
  if (failure !== undefined) throw failure.error;
  return result;
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

function failed(error: unknown): RunEvent {
  const code = (error as { code?: unknown }).code;
  return {
    type: 'run.failed',
    time: eventTime(),
    code: typeof code === 'string' ? code : 'UNEXPECTED',
    message: error instanceof Error ? error.message : String(error),
  };
}
