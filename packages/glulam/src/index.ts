export type { AblateConfigOptions } from './commands/ablate/ablate.js';
export { ablate } from './commands/ablate/ablate.js';
export type { CallOptions } from './call.js';
export { main } from './cli/cli.js';
export type { GlulamConfig } from './config/define-config.js';
export { defineConfig } from './config/define-config.js';
export type { GlulamErrorCode } from './errors.js';
export { GlulamError } from './errors.js';
export type { EvaluateOptions, Evaluation } from './commands/eval/evaluate.js';
export { evaluate } from './commands/eval/evaluate.js';
export type { GenerateOptions } from './commands/generate/generate.js';
export { generate } from './commands/generate/generate.js';
export type { LoadedConfig, LoadOptions } from './config/load-config.js';
export { loadConfig, resolveConfig } from './config/load-config.js';
export type { InstalledKind, InstalledPlugin } from './kinds/installed-plugins.js';
export { installedPlugins } from './kinds/installed-plugins.js';
export type { OptionDescription } from './kinds/describe-options.js';
export { describeOptions } from './kinds/describe-options.js';
export type { JsonSchema } from './kinds/json-schema.js';
export { configSchema } from './kinds/config-schema.js';
export type { MergeOptions } from './commands/merge/merge.js';
export { merge } from './commands/merge/merge.js';
export type { AdapterChoices, ModelSource, OpenedModel, OpenModelOptions } from './models/open-model.js';
export { openModel } from './models/open-model.js';
export type { CoreOptions } from './config/preset.js';
export { core, preset } from './config/preset.js';
export { plan } from './commands/plan/plan.js';
export type { RunOptions } from './commands/train/run.js';
export { run } from './commands/train/run.js';
export type { SearchConfigOptions } from './commands/search/search.js';
export { search } from './commands/search/search.js';
export type { AblationErrorCode, AblationResult, AblationRun, SearchResult, SearchedMap } from '@glulam/ablation';
export { AblationError } from '@glulam/ablation';
export type { ExportErrorCode, MergeResult } from '@glulam/export';
export { ExportError } from '@glulam/export';
export type { FilesErrorCode } from '@glulam/files';
export { FilesError } from '@glulam/files';
export type { EndReason, ModelErrorCode, TokenIds } from '@glulam/model';
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
