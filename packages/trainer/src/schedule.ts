export interface Schedule {
  readonly kind: 'cosine' | 'linear' | 'constant';
  readonly peak: number;
  readonly warmupSteps: number;
  readonly steps: number;
}

/** The learning rate of a step (from 0): a linear warm-up to the peak, then down to 0 as the kind says. */
export function learningRateAt({ kind, peak, warmupSteps, steps }: Schedule, step: number): number {
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  if (kind === 'constant') return peak;
  const done = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return kind === 'linear' ? peak * (1 - done) : (peak * (1 + Math.cos(Math.PI * done))) / 2;
}
