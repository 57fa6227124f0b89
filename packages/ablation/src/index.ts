export type { AblateOptions, AblationResult, AblationRun } from './ablate.js';
export { ablate } from './ablate.js';
export type { AblationErrorCode } from './errors.js';
export { AblationError } from './errors.js';
export type { Point, Watch } from './results/best.js';
export type { Outcome, PlannedVariant, RunOutcome } from './results/outcomes.js';
export type { AblationInput, AblationSettings, VariantSettings } from './settings.js';
export { ablationSchema } from './settings.js';
export type { Variant } from './variants.js';
