import { noteLoaded } from '@glulam/plugin';

export type {
  Adapter,
  AdapterChoice,
  AdapterContribution,
  AdapterForm,
  AdapterParameter,
  ApplyContext,
  FormContext,
  FrozenRows,
  InitialContext,
  LinearSite,
  SiteAdapter,
} from './adapter.js';
export { adapters, wholeShape } from './adapter.js';
export type { LowRankOptions } from './low-rank/low-rank-options.js';
export { lowRankSchema, lowRankWarnings } from './low-rank/low-rank-options.js';
export { lowRankCopies } from './low-rank/low-rank-copies.js';
export { lowRankFromPeft, lowRankToPeft } from './low-rank/low-rank-peft.js';
export type { LowRankSite } from './low-rank/low-rank-site.js';
export { lowRankSites } from './low-rank/low-rank-site.js';
export { plainLowRank } from './low-rank/plain-low-rank.js';
export type { PrincipalParts } from './low-rank/principal-parts.js';
export { matchRank, rankAt } from './low-rank/ranks.js';
export { fromPattern, isTarget } from './low-rank/targets.js';
export type { AdapterSelection, AdapterSet, AdapterSetOptions, AddedAdapter } from './adapter-set.js';
export type { ChosenAdapter } from './weighted-sum.js';
export { createAdapterSet } from './adapter-set.js';
export type { BaseWeights } from './base-weights.js';
export { createBaseWeights } from './base-weights.js';
export type { WeightedAdapter } from './combine-adapters.js';
export { combineAdapters } from './combine-adapters.js';
export type { TokenBatch } from './batch.js';
export { packTokens } from './batch.js';
export type { CheckpointConfig, FieldReader } from './checkpoint-config.js';
export { createFieldReader, readCheckpointConfig } from './checkpoint-config.js';
export { readRope, type RopeOptions } from './read-rope.js';
export { describeGenerationDefaults } from './generation-defaults.js';
export { endingTurns, type EndOfTurn } from './end-of-turn.js';
export { followConfig, type FollowedConfig } from './follow-config.js';
export type { Checkpoint } from './checkpoint.js';
export { describeCheckpoint, openCheckpoint, parameterCount } from './checkpoint.js';
export type { BaseTensor } from './base-tensors.js';
export { linearShape } from './base-tensors.js';
export type { AdapterValues, TrainedValues } from './adapter-values.js';
export type { TrainedCopy } from './trained-tensors.js';
export type { Decoder, DecoderOptions, LayerPass, PassOptions } from './decoder.js';
export { createDecoder, openDecoder } from './decoder.js';
export { checkOutputs, findBrokenWeight, isOfLayer } from './check-finite.js';
export { readFirstValues } from './first-values.js';
export type { FixedPart } from './fixed-parts.js';
export { createFrozenRows } from './frozen-rows.js';
export type { ModelErrorCode } from './errors.js';
export { ModelError } from './errors.js';
export { guardAdapter } from './guard-adapter.js';
export { quoteValue, shortMessage } from './quote-value.js';
export type { DecoderShape, Family, LinearName } from './family.js';
export { families, linearNames } from './family.js';
export type { CachePass, KeyValueCache } from './key-value-cache.js';
export { createKeyValueCache } from './key-value-cache.js';
export { scoreContinuations, tokenizeContinuations } from './score-continuations.js';
export type { FamilyTraits } from './read-decoder-shape.js';
export { readYaml, yamlLines } from './read-yaml.js';
// For plugins that read a file of their own.
export { readTextFile } from '@glulam/tensors';
export { readPythonYaml } from './read-python-yaml.js';
export { readDecoderShape } from './read-decoder-shape.js';
export type { RopeSettings } from './rope.js';
export { inverseFrequencies, ropeTables } from './rope.js';
export type { ExpansionStrategy } from './strategy.js';
export { strategies } from './strategy.js';
export type { VirtualLayer } from './virtual-layer.js';
export {
  checkVirtualLayers,
  layerMap,
  layersOfMap,
  markRepeats,
  mostLayers,
  repeatOptions,
  silentLayers,
  unexpandedLayers,
  visits,
} from './virtual-layer.js';
export type { SavedAdapter } from './peft-files.js';
export { readPeftAdapter, writePeftAdapter } from './peft-files.js';
export type {
  ChatMessage,
  ChatRenderOptions,
  ChatTemplate,
  LearntOptions,
  SpecialTokens,
  TextSpan,
} from './chat-template.js';
export { createChatTemplate } from './chat-template.js';
export type { LearntText } from './learnt-turns.js';
export type { GenerationSpan, JinjaTemplate, RenderedTemplate } from './jinja/template.js';
export { createJinjaTemplate } from './jinja/template.js';
export { Float } from './jinja/to-value.js';
export type { EncodedSpans } from './encode-spans.js';
export { encodeSpans } from './encode-spans.js';
export { createTimeLimit, OutOfTime, stopAfter, underOneLimit, type Stopped, type TimeLimit } from './time-limit.js';
export { describeTimeout } from './regex-timeout.js';
export { encodeMarked } from './encode-marked.js';
export type { Conversation } from './conversation.js';
export { createConversation } from './conversation.js';
export type { ContinuationOptions, EndReason } from './continuation.js';
export type { TokenIds } from './token-ids.js';
export type { GenerateTextOptions } from './generate.js';
export { generateText, generateTokens } from './generate.js';
export type { Generated, GenerateManyOptions, GenerationRequest } from './generate-many.js';
export { generateMany } from './generate-many.js';
export type { SequencePart } from './run-sequences.js';
export { cacheOf, runSequences } from './run-sequences.js';
export type { GenerateOptions, TokenSession } from './token-session.js';
export { createTokenSession } from './token-session.js';
export type { Sampler, SamplingOptions } from './sampling.js';
export { createSampler } from './sampling.js';
export type { TextStream } from './text-stream.js';
export type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer.js';
export { openTokenizer } from './tokenizer.js';
export { linearSites } from './linear-sites.js';
export { isAdapterFolder } from './adapter-folder.js';
export { baseOfAdapter, readAdapter, writeAdapter } from './compact-files.js';
export type { MergeOptions, MergeResult } from './merge/merge-checkpoint.js';
export { mergeCheckpoint } from './merge/merge-checkpoint.js';
export { checkCopied } from './merge/side-files.js';
export type { MergedDtype } from './merge/merged-config.js';
export type { MergedModel, MergedTensor, MergeSource } from './merge/merged-model.js';
export { describeMerged } from './merge/merged-model.js';
export type { SavedPart } from './merge/sum-saved.js';
export { sumSaved } from './merge/sum-saved.js';
export type { GgufOptions, GgufResult } from './gguf/export-gguf.js';
export { exportGguf } from './gguf/export-gguf.js';
export type { GgufType } from './gguf/gguf-tensors.js';

noteLoaded('@glulam/model', import.meta.url);
