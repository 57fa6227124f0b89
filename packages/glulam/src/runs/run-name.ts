import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { readRunSteps, type RunStep, type RunSteps, type ScoredStep, type StepChoice } from '@glulam/trainer';
import { GlulamError } from '../errors.js';

/** `RUN@best`, `RUN@last` or `RUN@step-50`. */
export interface NamedStep {
  readonly run: string;
  readonly choice: StepChoice;
}

/** For commands' help. */
export const stepHelp = 'RUN@best, RUN@last and RUN@step-50 stand for the adapters of its checkpoints';

/**
 * The run and the step that a name stands for; undefined for any other name. What is there under the whole name is just
 * that, whatever it is called.
 *
 * @throws GlulamError USAGE where a run's name is followed by something else, RUN_NOT_FOUND where there is no run
 */
export function parseRunName(name: string): NamedStep | undefined {
  const [, run, which] = /^(.+)@([^@/\\]*)$/.exec(name) ?? [];
  if (run === undefined || which === undefined || existsSync(name) || name.startsWith('hf://')) return undefined;
  if (!existsSync(run) || !statSync(run).isDirectory()) return undefined;
  const step = /^step-(\d{1,15})$/.exec(which)?.[1];
  const choice = which === 'best' || which === 'last' ? which : step === undefined ? undefined : Number(step);
  if (isRunFolder(run)) {
    if (choice !== undefined) return { run, choice };
    throw new GlulamError(
      'USAGE',
      `${name} names the run ${run} and "@${which}"; expected ${run}@best, ${run}@last or ${run}@step-N`,
    );
  }
  if (choice === undefined) return undefined;
  throw new GlulamError(
    'RUN_NOT_FOUND',
    `${run} is no run folder (with config.json and checkpoints/), so it has no @${which}; leave "@${which}" out, or name a run`,
  );
}

/** Whether a folder is a run's, ended or not. */
function isRunFolder(folder: string): boolean {
  const has = (name: string): boolean => existsSync(path.join(folder, name));
  return has('config.json') && (has('events.jsonl') || has('checkpoints'));
}

/** The adapter that the name of a run with a step stands for, and a line for people on which it is. */
interface FoundStep {
  readonly adapterFolder: string;
  readonly note: string;
}

/** @throws TrainerError STEP_NOT_FOUND */
export function findStep({ run, choice }: NamedStep, name: string): FoundStep {
  const steps = readRunSteps(run);
  const found = steps.find(choice);
  return { adapterFolder: found.adapterFolder, note: describeStep(name, run, steps, found) };
}

/** Which step the adapter folder of a run holds, and what the others are; undefined where it is no run's. */
export function noteHeldStep(run: string): string | undefined {
  if (!isRunFolder(run)) return undefined;
  const steps = readRunSteps(run);
  return describeStep(run, run, steps, steps.held);
}

function describeStep(name: string, run: string, steps: RunSteps, used: RunStep | ScoredStep | undefined): string {
  const { best, last, watched } = steps;
  const score = ({ value }: ScoredStep): string =>
    value === undefined ? '' : ` (${watched} ${Number.isInteger(value) ? value : value.toFixed(4)})`;
  const isBest = used !== undefined && used.step === best?.step;
  const isLast = used !== undefined && used.step === last?.step;
  const role = isBest && isLast ? ', the best and the last' : isBest ? ', the best' : isLast ? ', the last' : '';
  const others = [
    ...(best === undefined || isBest ? [] : [`the best is step ${best.step}${score(best)}: ${run}@best`]),
    ...(last === undefined || isLast ? [] : [`the last is step ${last.step}${score(last)}: ${run}@last`]),
  ];
  const uses =
    used === undefined
      ? 'uses its adapter folder, of no step that it names'
      : `uses step ${used.step}${score(used)}${role}`;
  return [`${name} ${uses}`, ...others].join('; ');
}
