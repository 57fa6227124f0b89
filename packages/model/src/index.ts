import { noteLoaded } from '@glulam/plugin';

export {
  createAdapterSet,
  type AdapterSelection,
  type AdapterSet,
  type AdapterSetOptions,
  type AddedAdapter,
} from './adapters/adapter-set.js';
export { checkAdapterValues, trainedRows, type AdapterValues, type TrainedValues } from './adapters/adapter-values.js';
export {
  adapters,
  wholeShape,
  type Adapter,
  type AdapterChoice,
  type AdapterContribution,
  type AdapterForm,
  type AdapterParameter,
  type ApplyContext,
  type FormContext,
  type FrozenRows,
  type InitialContext,
  type LinearSite,
  type SiteAdapter,
} from './adapters/adapter.js';
export { combineAdapters, partName, type WeightedAdapter } from './adapters/combine-adapters.js';
export { readFirstValues } from './adapters/first-values.js';
export type { FixedPart } from './adapters/fixed-parts.js';
export { checkAdapterOptions, guardAdapter } from './adapters/guard-adapter.js';
export { lowRankCopies } from './adapters/low-rank/low-rank-copies.js';
export {
  lowRankBaseFaults,
  lowRankSchema,
  lowRankWarnings,
  type LowRankOptions,
} from './adapters/low-rank/low-rank-options.js';
export { lowRankFromPeft, lowRankToPeft } from './adapters/low-rank/low-rank-peft.js';
export { lowRankSites, type LowRankSite } from './adapters/low-rank/low-rank-site.js';
export { plainLowRank } from './adapters/low-rank/plain-low-rank.js';
export type { PrincipalParts } from './adapters/low-rank/principal-parts.js';
export { matchRank } from './adapters/low-rank/ranks.js';
export { isTarget } from './adapters/low-rank/targets.js';
export { isEmpty, keepPeftFields } from './adapters/peft-fields.js';
export { checkPrefix, nameInFile, peftPrefix } from './adapters/peft-names.js';
export type { SavedAdapter } from './adapters/saved-adapter.js';
export { describeTrained, gateName, type AdaptedSite, type TrainedCopy } from './adapters/trained-tensors.js';
export { checkSameLayers, checkSelection, noSum, type ChosenAdapter } from './adapters/weighted-sum.js';
export { packTokens, type TokenBatch } from './decoder/batch.js';
export type { Block, BlockContext } from './decoder/block.js';
export {
  brokenBase,
  checkFiniteRows,
  checkOutputs,
  describeNotFinite,
  findBrokenWeight,
  isOfLayer,
  weightNotFinite,
} from './decoder/check-finite.js';
export type { Decoder, DecoderOptions, LayerPass, PassOptions, RoutePart } from './decoder/decoder.js';
export { openDecoder } from './decoder/open-decoder.js';
export type { CachePass, KeyValueCache } from './decoder/key-value-cache.js';
export { inverseFrequencies, ropeEra, type RopeSettings } from './decoder/rope.js';
export { createPreparedForms, type PreparedForms } from './decoder/prepared-forms.js';
export {
  cacheOf,
  runSequences,
  type SequencePart,
  type SequenceResult,
  type SequenceState,
} from './decoder/run-sequences.js';
export { ModelError, type ModelErrorCode } from './errors.js';
export {
  isPlainRoute,
  plainRoute,
  visitsOf,
  type Mix,
  type MixContext,
  type MixParameter,
  type Route,
  type RouteStep,
} from './expansion/route.js';
export { strategies, type ExpansionStrategy } from './expansion/strategy.js';
export {
  checkVirtualLayers,
  layerMap,
  layersOfMap,
  markRepeats,
  mostLayers,
  repeatOptions,
  silentLayers,
  unexpandedLayers,
  usesOf,
  type VirtualLayer,
} from './expansion/virtual-layer.js';
export { readCheckpointConfig, type CheckpointConfig, type FieldReader } from './families/checkpoint-config.js';
export { families, type Family } from './families/family.js';
export { followConfig, type FollowedConfig } from './families/follow-config.js';
export {
  attentionOf,
  keyValueWidthOf,
  layerPath,
  layerTypes,
  normsOf,
  linearNamesOf,
  linearsOf,
  mlpOf,
  weightName,
  windowOf,
  type AttentionSpec,
  type BlockSpec,
  type GgufGraph,
  type GgufNames,
  type LayerSpec,
  type LinearSpec,
  type MlpSpec,
  type ModelSpec,
  type NormSpec,
  type RopeSpec,
  type VectorSpec,
} from './families/model-spec.js';
export { eachLayer, readLayerList, readLayerTypes, readShare } from './families/read-layer-lists.js';
export {
  llamaGgufTensors,
  llamaLinears,
  queryKeyNormGgufTensors,
  readBiased,
  readLlamaSpec,
  type LlamaDefaults,
  type LlamaLinear,
  type LlamaTraits,
} from './families/read-llama-spec.js';
export { isRecord, readRope, readRopeRecord, type RopeReadOptions } from './families/read-rope.js';
export type { ContinuationOptions, EndReason } from './generation/continuation.js';
export { createConversation, type Conversation } from './generation/conversation.js';
export {
  generateMany,
  type GenerateManyOptions,
  type Generated,
  type GenerationRequest,
} from './generation/generate-many.js';
export {
  createScheduler,
  type KeptSequence,
  type ScheduledSequence,
  type ScheduledToken,
  type Scheduler,
} from './generation/scheduler.js';
export { generateText, generateTokens, type GenerateTextOptions } from './generation/generate.js';
export { describeGenerationDefaults } from './generation/generation-defaults.js';
export type { Sampler, SamplingOptions } from './generation/sampling.js';
export { scoreContinuations, tokenizeContinuations } from './generation/score-continuations.js';
export { createTokenSession, type GenerateOptions, type TokenSession } from './generation/token-session.js';
export {
  createChatTemplate,
  type ChatMessage,
  type ChatRenderOptions,
  type ChatTemplate,
  type LearntOptions,
  type SpecialTokens,
  type TextSpan,
} from './text/chat-template.js';
export { encodeMarked } from './text/encode-marked.js';
export { encodeSpans, type EncodedSpans } from './text/encode-spans.js';
export { endingTurns, findEndOfTurn, type EndOfTurn } from './text/end-of-turn.js';
export type { GenerationSpan } from './text/jinja/compile/activation.js';
export { createJinjaTemplate, type JinjaTemplate, type RenderedTemplate } from './text/jinja/template.js';
export type { LearntText } from './text/learnt-turns.js';
export { describeTimeout } from './text/regex-timeout.js';
export type { TextStream } from './text/text-stream.js';
export {
  OutOfTime,
  createTimeLimit,
  stopAfter,
  underOneLimit,
  type Stopped,
  type TimeLimit,
} from './text/time-limit.js';
export type { TokenIds } from './text/token-ids.js';
export { readTokenizerFiles } from './text/tokenizer-files.js';
export {
  openPipeline,
  openTokenizer,
  type DecodeOptions,
  type EncodeOptions,
  type Tokenizer,
} from './text/tokenizer.js';
export type { AddedToken } from './text/tokenizers/added-vocabulary.js';
export { createNormalizer, type Normalizer } from './text/tokenizers/steps/normalizers.js';
export { baseTensors, type BaseTensor } from './weights/base-tensors.js';
export { createBaseWeights, type BaseWeights } from './weights/base-weights.js';
export {
  checkpointReaders,
  readCheckpoint,
  type CheckpointReader,
  type StoredCheckpoint,
} from './checkpoints/checkpoint-reader.js';
export { documentsOf, knownDocuments, type DocumentsOf } from './checkpoints/documents.js';
export type { CheckpointTensors } from './weights/checkpoint-tensors.js';
export { describeCheckpoint, openCheckpoint, parameterCount, type Checkpoint } from './weights/checkpoint.js';
export { createFrozenRows } from './weights/frozen-rows.js';
export { linearSites, weightOfSite } from './weights/linear-sites.js';

noteLoaded('@glulam/model', import.meta.url);
