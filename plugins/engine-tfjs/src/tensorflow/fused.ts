import type { DType, Shape } from '@glulam/files';
import type { Engine, FrozenWeight, Fused, FusedOperations, Named, Tensor } from '@glulam/tensors';
import { embedding } from '../embedding.js';
import type { Result, Workshop } from '../engine.js';
import { adamW } from './adam-w.js';
import { attention } from './attention.js';
import { tfTypes, type TfTensor } from './binding.js';
import type { TfData, TfDevice } from './device.js';
import { frozenLinear } from './frozen-linear.js';
import type { TfOperations } from './operations.js';
import { attribute } from './operations.js';
import { rmsNorm, rope, swiglu } from './pointwise.js';
import { stacks } from './stacks.js';
import { tokenLosses } from './token-losses.js';
import { attentionProgram, attentionTakes } from './xla/attention.js';
import { frozenLinearProgram } from './xla/frozen-linear.js';
import { rmsNormProgram, ropeProgram, swigluProgram } from './xla/pointwise.js';

/** What the named operations are written with: TensorFlow's operations, and the engine's tensors as TensorFlow's. */
export interface Bench {
  readonly ops: TfOperations;
  readonly workshop: Workshop<TfData>;
  readonly engine: Engine;
  /** The tensor as it is stored. */
  of(x: Tensor): TfTensor;
  /** The tensor as float32. */
  wide(x: Tensor): TfTensor;
  /** The whole frozen weight, as it is kept. */
  weight(weight: FrozenWeight): TfTensor;
  make(operation: string, shape: Shape, dtype: DType, body: () => TfTensor): Tensor;
  makeMany(operation: string, results: readonly Result[], body: () => readonly TfTensor[]): Tensor[];
  /** What `body` computes, kept in a slot of this name until it is asked for with another key. */
  keep(slot: string, key: readonly unknown[], body: () => readonly TfTensor[]): readonly TfTensor[];
  renew(operation: string, targets: readonly Tensor[], body: () => readonly TfTensor[]): void;
}

/** TensorFlow's number of a type that activations are kept in. */
export const tfTypeOf = (dtype: DType): number => (dtype === 'bfloat16' ? tfTypes.bfloat16 : tfTypes.float32);

/** The named operations that are faster here than their compositions. */
export function createTfFused(device: TfDevice, workshop: Workshop<TfData>, engine: Engine): Partial<FusedOperations> {
  const { ops, xla } = device;
  const of = (x: Tensor): TfTensor => device.tensorOf(workshop.operand(x));
  const slots = new Map<string, { readonly key: readonly unknown[]; readonly data: readonly TfData[] }>();
  const bench: Bench = {
    ops,
    workshop,
    engine,
    of,
    wide: (x) => ops.cast(of(x), tfTypes.float32),
    weight: (weight) => device.tensorOf(workshop.weights.whole(weight)),
    make: (operation, shape, dtype, body) => workshop.make(operation, shape, dtype, () => device.compute(body)),
    makeMany: (operation, results, body) => workshop.makeMany(operation, results, () => device.computeMany(body)),
    keep(slot, key, body) {
      const kept = slots.get(slot);
      if (kept?.key.every((part, i) => part === key[i])) return kept.data.map(({ tensor }) => tensor);
      slots.delete(slot);
      for (const data of kept?.data ?? []) device.free(data);
      const data = device.computeMany(body);
      slots.set(slot, { key, data });
      return data.map(({ tensor }) => tensor);
    },
    renew: (operation, targets, body) => workshop.renew(operation, targets, () => device.computeMany(body)),
  };
  const operations = {
    frozenLinear: frozenLinear(bench),
    tokenLosses: tokenLosses(bench, xla),
    attention: attention(bench),
    swiglu: swiglu(bench),
    rmsNorm: rmsNorm(bench),
    rope: rope(bench),
  };
  const byRows = (rows: Tensor): boolean => xla?.takes(rows.shape[0]!) === true;
  const programs = xla && {
    frozenLinear: either(operations.frozenLinear, frozenLinearProgram(bench, xla), ({ x }) => x, byRows),
    swiglu: either(operations.swiglu, swigluProgram(bench, xla), ({ gate }) => gate, byRows),
    rmsNorm: either(operations.rmsNorm, rmsNormProgram(bench, xla), ({ x }) => x, byRows),
    rope: either(operations.rope, ropeProgram(bench, xla), ({ x }) => x, byRows),
    attention: either(
      operations.attention,
      attentionProgram(bench, xla),
      ({ q }) => q,
      (_, { segments }) => attentionTakes(xla, segments),
    ),
  };
  return {
    embedding: embedding(workshop),
    adamW: adamW(bench, xla),
    sumOfSquares: sumOfSquares(bench),
    ...operations,
    ...programs,
  };
}

/** The program where it takes the input, which has as many rows as the gradient. */
function either<Inputs extends Named, Options>(
  operations: Fused<Inputs, Options>,
  program: Fused<Inputs, Options>,
  inputOf: (inputs: Inputs) => Tensor,
  takes: (rows: Tensor, options: Options) => boolean,
): Fused<Inputs, Options> {
  const of = (rows: Tensor, options: Options): Fused<Inputs, Options> => (takes(rows, options) ? program : operations);
  return {
    forward: (inputs, options, keep) => of(inputOf(inputs), options).forward(inputs, options, keep),
    backward: (saved, gradient, options, needs) => of(gradient, options).backward(saved, gradient, options, needs),
  };
}

/** An operation for each stack of tensors, and one for all stacks. */
function sumOfSquares({ ops, of, make }: Bench): FusedOperations['sumOfSquares'] {
  return (tensors) =>
    make('sumOfSquares', [], 'float32', () => {
      if (tensors.length === 0) return ops.run('Fill', [ops.list([]), ops.scalar(0)]);
      const halves = stacks(tensors, (x) => x).map((stack) => ops.run('L2Loss', [ops.concatenate(stack.map(of), 0)]));
      const attributes = [attribute('N', 'int', halves.length), attribute('T', 'type', tfTypes.float32)];
      return ops.mul(ops.run('AddN', halves, ...attributes), ops.scalar(2));
    });
}
