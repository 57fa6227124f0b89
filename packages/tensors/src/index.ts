import { noteLoaded } from '@glulam/plugin';

export { cacheFolder } from './cache-folder.js';
export type { DType } from './dtype.js';
export { bytesPerElement, fromBfloat16Bits, fromFloat16Bits, toBfloat16Bits, toFloat16Bits } from './dtype.js';
export type {
  BinaryOperation,
  Engine,
  EngineContribution,
  EngineMemory,
  EngineProbe,
  PlanningEngine,
  FrozenWeight,
  Precision,
  Reduction,
  UnaryOperation,
} from './engine.js';
export { engines } from './engine.js';
export { afterAChange, checkStamps, findStamp, whileUnchanged } from './file-stamp.js';
export type { FileStamp } from './file-stamp.js';
export { encodeFloats } from './encode-floats.js';
export type { TensorsErrorCode } from './errors.js';
export { TensorsError } from './errors.js';
export type {
  AdamWOptions,
  AdamWUpdate,
  AttentionOptions,
  FrozenLinearOptions,
  Fused,
  FusedOperations,
  Named,
  RmsNormOptions,
  RopeOptions,
  Segment,
  TokenLossesOptions,
} from './fused.js';
export type { LinearForm, Operations } from './operations.js';
export { createOperations } from './operations.js';
export { eventLoopTurns } from './event-loop-turns.js';
export type { Pace } from './pace.js';
export { pace } from './pace.js';
export type { RandomKey } from './philox.js';
export { normals, philox, uniforms } from './philox.js';
export type { InputGradients, Tape } from './tape.js';
export { createTape } from './tape.js';
export { adopt, detach, scope, sizeOf, Tensor } from './tensor.js';
export type { WeightSource } from './weight-source.js';
export { folderOwner, lockFolder, type FolderLock } from './folder-lock.js';
export { isRunning, publishFolder, writeFileAtomic, removeLeftovers, writeFolderAtomic } from './atomic-file.js';
export { makeFolder } from './make-folder.js';
export { describeWriteFault, isSystemError, type SystemError } from './system-error.js';
export type { CheckpointFiles } from './checkpoint-files.js';
export { brokenLink, hasCheckpointFiles, openCheckpointFiles, openSafetensors } from './checkpoint-files.js';
export { linkOut } from './links-out.js';
export { sampleHash } from './sample-hash.js';
export { equalValues } from './equal-values.js';
export type { NotFinite } from './not-finite.js';
export { findNotFinite, notFiniteIn } from './not-finite.js';
export { expandHome } from './expand-home.js';
export { readBytes, readFloats, readInts } from './read-tensor.js';
export { checkRegular, openRegularFile, readRegularFile, readTextFile, readTextStart } from './regular-file.js';
export type { SafetensorsEntry, SafetensorsHeader } from './safetensors-header.js';
export { readSafetensorsHeader } from './safetensors-header.js';
export type { SafetensorsInput } from './safetensors-writer.js';
export { writeSafetensors } from './safetensors-writer.js';
export { createPlanningEngine } from './planning-engine.js';
export { createReferenceEngine } from './reference-engine.js';
export type { MatmulSizes, Shape } from './shapes.js';
export {
  argmaxShape,
  broadcastShapes,
  broadcastStrides,
  checkAxis,
  checkRows,
  checkShape,
  checkSize,
  checkTensor,
  checkWrite,
  concatenateShape,
  formatShape,
  gatherShape,
  matmulSizes,
  reduceShape,
  reshapeShape,
  sameShape,
  scatterAddShape,
  sliceShape,
  stridesOf,
  transposeShape,
} from './shapes.js';

noteLoaded('@glulam/tensors', import.meta.url);
