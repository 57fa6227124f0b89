export type { AblateConfigOptions } from './ablate.js';
export { ablate } from './ablate.js';
export type { CallOptions } from './call.js';
export { main } from './cli.js';
export type { GlulamConfig } from './define-config.js';
export { defineConfig } from './define-config.js';
export type { GlulamErrorCode } from './errors.js';
export { GlulamError } from './errors.js';
export type { EvaluateOptions, Evaluation } from './evaluate.js';
export { evaluate } from './evaluate.js';
export type { GenerateOptions } from './generate.js';
export { generate } from './generate.js';
export type { LoadedConfig, LoadOptions } from './load-config.js';
export { loadConfig, resolveConfig } from './load-config.js';
export type { InstalledKind, InstalledPlugin } from './kinds/installed-plugins.js';
export { installedPlugins } from './kinds/installed-plugins.js';
export type { OptionDescription } from './kinds/describe-options.js';
export { describeOptions } from './kinds/describe-options.js';
export type { JsonSchema } from './kinds/json-schema.js';
export { configSchema } from './kinds/config-schema.js';
export type { MergeOptions } from './merge.js';
export { merge } from './merge.js';
export type { AdapterChoices, ModelSource, OpenedModel, OpenModelOptions } from './open-model.js';
export { openModel } from './open-model.js';
export type { CoreOptions } from './preset.js';
export { core, preset } from './preset.js';
export { plan } from './plan/plan.js';
export type { RunOptions } from './run.js';
export { run } from './run.js';
export type { SearchConfigOptions } from './search.js';
export { search } from './search.js';
export type { AblationErrorCode, AblationResult, AblationRun, SearchResult, SearchedMap } from '@glulam/ablation';
export { AblationError } from '@glulam/ablation';
export type { EndReason, MergeResult, ModelErrorCode, TokenIds } from '@glulam/model';
export { ModelError } from '@glulam/model';
export { PluginError } from '@glulam/plugin';
export type { TensorsErrorCode } from '@glulam/tensors';
export { TensorsError } from '@glulam/tensors';
export type {
  Row,
  RowsInCode,
  RunEvent,
  RunPlan,
  RunRequest,
  ScheduleFunction,
  ScheduleState,
  TrainerErrorCode,
  TrainResult,
} from '@glulam/trainer';
export { TrainerError } from '@glulam/trainer';
