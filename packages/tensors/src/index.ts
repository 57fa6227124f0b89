import { noteLoaded } from '@glulam/plugin';

export type { NamedOperation } from './autograd/named-operation.js';
export { createOperations, type LinearForm, type Operations } from './autograd/operations.js';
export type { FormSegment, ScaleSegment } from './autograd/segments.js';
export { pace, type Pace } from './autograd/pace.js';
export { createTape, type InputGradients, type Tape } from './autograd/tape.js';
export {
  engines,
  type BinaryOperation,
  type DeviceMemory,
  type Engine,
  type EngineContribution,
  type EngineMemory,
  type EngineProbe,
  type FrozenWeight,
  type PlanningEngine,
  type Precision,
  type Reduction,
  type UnaryOperation,
} from './contract/engine.js';
export type { Device, KernelArguments, Kernels, Operand, Result } from './contract/device.js';
export type {
  AdamWOptions,
  AdamWUpdate,
  AttentionOptions,
  CappedAttentionOptions,
  CappedTokenLossesOptions,
  FrozenLinearOptions,
  Fused,
  FusedOperations,
  Named,
  Overrides,
  RmsNormOptions,
  RopeOptions,
  Segment,
  TokenLossesOptions,
} from './contract/fused.js';
export { normals, philox, uniforms, type RandomKey } from './contract/philox.js';
export { Tensor, adopt, detach, scope, whileHeld } from './contract/tensor.js';
export { createPlanningEngine } from './engines/planning/planning-engine.js';
export { createReferenceDevice, createReferenceEngine } from './engines/reference/reference-engine.js';
export type { ReferenceValues } from './engines/reference/reference-strides.js';
export { TensorsError, type TensorsErrorCode } from './errors.js';
export { createEngine, type CreateEngineOptions, type EngineShell } from './shell/create-engine.js';
export { kernelsFrom } from './shell/kernels-from.js';
export {
  argmaxShape,
  broadcastShapes,
  broadcastStrides,
  checkRows,
  checkShape,
  checkSize,
  checkTensor,
  checkWeight,
  checkWrite,
  concatenateShape,
  gatherShape,
  matmulSizes,
  reduceShape,
  reshapeShape,
  sameShape,
  scatterAddShape,
  sliceShape,
  stridesOf,
  transposeShape,
  type MatmulSizes,
} from './shell/shapes.js';

noteLoaded('@glulam/tensors', import.meta.url);
