import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { configError } from '../config/choices.js';
import type { RunConfig } from '../config/config.js';
import { TrainerError } from '../errors.js';
import type { ScheduleFunction, ScheduleState } from '../step/schedule.js';

/**
 * The values of a schedule function at all steps of a run, and the hash of them that is recorded: another function with
 * the same values gives the same run.
 *
 * @throws TrainerError CONFIG_INVALID where a value cannot be used
 */
export function tabulateSchedule(
  schedule: ScheduleFunction,
  state: ScheduleState,
): { readonly schedule: ScheduleFunction; readonly sha256: string } {
  const factors = new Float64Array(state.steps);
  // A warm-up's own rates do not depend on the function.
  for (let step = Math.min(state.warmupSteps, state.steps); step < state.steps; step++) {
    const factor: unknown = schedule(step, state);
    if (typeof factor !== 'number' || !Number.isFinite(factor) || factor < 0)
      throw configError([
        `train.schedule gives ${String(factor)} for step ${step}; expected a finite factor of at least 0`,
      ]);
    factors[step] = factor;
  }
  return {
    schedule: (step) => factors[step]!,
    sha256: createHash('sha256').update(new Uint8Array(factors.buffer)).digest('hex'),
  };
}

/** A config with a schedule in code takes over the hash recorded in its folder; the values are compared once steps are known. */
export function takeOverSchedule(config: RunConfig): RunConfig {
  const file = path.join(config.out, 'config.json');
  if (typeof config.train.schedule !== 'object' || !existsSync(file)) return config;
  let recorded: unknown;
  try {
    recorded = (JSON.parse(readFileSync(file, 'utf8')) as { train?: { schedule?: { sha256?: unknown } } } | null)?.train
      ?.schedule?.sha256;
  } catch {
    return config; // what resumes the folder reports it
  }
  return typeof recorded === 'string' ? withScheduleHash(config, recorded) : config;
}

/**
 * The config with the hash of its schedule's values.
 *
 * @throws TrainerError RUN_CHANGED where the run was begun with other values
 */
export function recordSchedule(config: RunConfig, sha256: string): RunConfig {
  const { schedule } = config.train;
  if (typeof schedule === 'object' && schedule.sha256 !== undefined && schedule.sha256 !== sha256)
    throw new TrainerError(
      'RUN_CHANGED',
      `the schedule function gives other values than the one that ${config.out} was begun with; resume with that one, or begin a new run with another out`,
    );
  return withScheduleHash(config, sha256);
}

const withScheduleHash = (config: RunConfig, sha256: string): RunConfig => ({
  ...config,
  train: { ...config.train, schedule: { inCode: true, sha256 } },
});
