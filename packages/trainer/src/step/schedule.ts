/** What a schedule function knows of its run besides the step. */
export interface ScheduleState {
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** Steps of the warm-up before the function's first value is used. */
  readonly warmupSteps: number;
  /** `train.learningRate`: what the factor multiplies. */
  readonly learningRate: number;
}

/**
 * A learning-rate schedule in code: a factor of `train.learningRate` for the step (from 0), finite and not negative.
 * Pure: a run asks for the factors of all steps once, before its first.
 */
export type ScheduleFunction = (step: number, state: ScheduleState) => number;

/** How the learning rate of a run changes from step to step. */
export interface Schedule {
  /** The course after the warm-up. */
  readonly kind: 'cosine' | 'linear' | 'constant' | ScheduleFunction;
  /** The learning rate that a factor of 1 stands for. */
  readonly peak: number;
  /** Steps in which the rate rises linearly to the peak. */
  readonly warmupSteps: number;
  /** Optimizer steps of the whole run. */
  readonly steps: number;
}

/** The learning rate of a step (from 0): a linear warm-up to the peak, then down to 0 as the kind says, or its factor. */
export function learningRateAt({ kind, peak, warmupSteps, steps }: Schedule, step: number): number {
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  if (kind === 'constant') return peak;
  if (typeof kind === 'function') return peak * kind(step, { steps, warmupSteps, learningRate: peak });
  const done = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return kind === 'linear' ? peak * (1 - done) : (peak * (1 + Math.cos(Math.PI * done))) / 2;
}
