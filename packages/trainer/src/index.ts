export type { Example, LabelledBatch } from './batches.js';
export { labelBatch } from './batches.js';
export type { TrainerErrorCode } from './errors.js';
export { TrainerError } from './errors.js';
export type { AdamWSettings, Optimizer } from './optimizer.js';
export { createOptimizer } from './optimizer.js';
export type { StepResult, StepSettings } from './train-step.js';
export { trainStep } from './train-step.js';
