import { noteLoaded } from '@glulam/plugin';

export { readBaseLicence, type BaseLicence } from './card/base-card.js';
export { codeBlock, plainMarkdown } from './card/markdown.js';
export { mergedCard } from './card/model-card.js';
export { tellStory, type RunStory } from './card/run-story.js';
export { drawChart, palette, type Chart } from './charts/draw-chart.js';
export { checkWatch } from './config/check-watch.js';
export { choose, configError } from './config/choices.js';
export { configDifference, inTodaysWords } from './config/config-difference.js';
export { runConfigSchema, type DataSources, type RunConfig, type RunConfigInput } from './config/config.js';
export { describeIssues } from './config/describe-issues.js';
export { nearest, suggestion } from './config/faults/advise-key.js';
export { allAliases } from './config/faults/aliases.js';
export { checkChoices } from './config/faults/check-choices.js';
export { describeFault, sortFaults, type ConfigFault, type FaultNames } from './config/faults/config-fault.js';
export { findFaults, type KindsOf } from './config/faults/find-faults.js';
export { givenInCode, hasGivenRows, type GivenInCode } from './config/given-in-code.js';
export { dataFormats, type DataFormat, type RowText, type SkippedRow } from './data/data-format.js';
export {
  dataFilesOf,
  openData,
  type BatchSource,
  type DataFile,
  type FilePlace,
  type OpenDataOptions,
  type TrainingData,
} from './data/open-data.js';
export { openRunTokenizer } from './data/prompt/chat-template-choice.js';
export { openPromptForm, promptTokens, type PromptForm, type PromptFormOptions } from './data/prompt/prompt-form.js';
export { noteDate, recordDate, takeOverDate } from './data/prompt/run-date.js';
export type { FilledText } from './data/read-row.js';
export { distinctText, numberText, parseJson } from './data/rows/parse-json.js';
export { identifyRows, type Row, type RowsIdentity, type RowsInCode } from './data/rows/rows-in-code.js';
export { sumReports, type DataReport } from './data/store/data-report.js';
export { describeSkipped } from './data/store/data-tally.js';
export { TrainerError, type TrainerErrorCode } from './errors.js';
export {
  evaluators,
  type EvaluationContext,
  type Evaluator,
  type EvaluatorContribution,
} from './evaluate/evaluator.js';
export { meanLoss, meanLossOf, scoreExamples, type ScoreExamplesOptions } from './evaluate/mean-loss.js';
export { openEvaluators, type OpenEvaluator } from './evaluate/open-evaluators.js';
export { answerProbeSet, type ProbeAnswer } from './evaluate/probe/answer-probe-set.js';
export { choiceProbeSet, type ProbeChoices } from './evaluate/probe/choice-probe-set.js';
export type { Measure, ProbeContext, ProbeSet } from './evaluate/probe/probe-set.js';
export { evaluateAll, type EvaluateOptions } from './evaluate/samples/evaluate-all.js';
export { fingerprintModel } from './evaluate/samples/fingerprint-model.js';
export {
  generateAnswers,
  type GenerateAnswersOptions,
  type TextQuestion,
} from './evaluate/samples/generate-answers.js';
export { createPythonRandom, type PythonRandom } from './evaluate/samples/python-random.js';
export { readQuestions, rowsOf, type Questions } from './evaluate/samples/read-questions.js';
export type { AskedSample, Sample, SampleLog } from './evaluate/samples/sample.js';
export { scoreChoices, type ChoiceQuestion } from './evaluate/samples/score-choices.js';
export { summarizeSamples, summaryNames } from './evaluate/samples/summarize-samples.js';
export { scoringBatches, type ScoringBatch, type ScoringBatchesOptions } from './evaluate/scoring-batches.js';
export { createRunEvents } from './events/event-stream.js';
export { eventTime } from './events/event-time.js';
export {
  events,
  type RunEvent,
  type RunEvents,
  type RunEventStream,
  type RunRequest,
  type ScoredStep,
} from './events/events.js';
export { openReportFile, reportPlace, type ReportFile } from './events/report-file.js';
export { openReportStream, type ReportStream } from './events/report-stream.js';
export { reporters, type ReporterContribution } from './events/reporter.js';
export { visibleJson, visibleLine, visibleStream, visibleText } from './events/visible-text.js';
export { visibleYaml } from './events/visible-yaml.js';
export { describeCopies } from './open/describe-copies.js';
export { describeModel, type ModelDescription } from './open/describe-model.js';
export { mapInputs, openInputs, type InputOptions, type Inputs } from './open/inputs.js';
export { openAdapters, type NamedAdapter, type OpenAdapters } from './open/open-adapters.js';
export { openBase, openRunCheckpoint, type OpenBase, type OpenBaseOptions } from './open/open-base.js';
export {
  bindModel,
  openModel,
  type BindOptions,
  type BoundParts,
  type OpenModel,
  type OpenModelOptions,
} from './open/open-model.js';
export {
  sources,
  type FetchProgress,
  type InputRole,
  type Source,
  type SourceContext,
  type SourceContribution,
} from './open/source.js';
export { availableMemory, type AvailableMemory } from './plan/available-memory.js';
export { askRun } from './control/ask-run.js';
export { controlRequests, type ControlReply, type ControlRequest, type RunStatus } from './control/control-messages.js';
export { checkMemory } from './plan/check-memory.js';
export { describeMemory, describePlan } from './plan/describe-plan.js';
export type { ForeseenBytes } from './plan/foresee-memory.js';
export { formatBytes } from './plan/format-bytes.js';
export { planRun, type PlannedData, type RunPlan } from './plan/plan-run.js';
export { readRunEvents, recordedFormats } from './run/run-folder.js';
export { readRunSteps, type RunStep, type RunSteps, type StepChoice } from './run/run-steps.js';
export { train } from './run/train.js';
export type { TrainResult } from './run/close-run.js';
export type { TrainOptions } from './run/open-run.js';
export { nextToken } from './objectives/next-token.js';
export type { LossContext, Objective, Totals } from './objectives/objective.js';
export { labelBatch, type Example, type LabelledBatch } from './step/batches.js';
export { firstNotFinite } from './step/first-not-finite.js';
export {
  createOptimizer,
  type AdamWSettings,
  type Averages,
  type Optimizer,
  type OptimizerState,
} from './step/optimizer.js';
export { learningRateAt, type Schedule, type ScheduleFunction, type ScheduleState } from './step/schedule.js';
export { trainStep, type StepResult, type StepSettings } from './step/train-step.js';

noteLoaded('@glulam/trainer', import.meta.url);
