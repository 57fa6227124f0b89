import type { Engine, Fused, FusedOperations, Named, Tensor } from '@glulam/tensors';
import { embedding } from '../embedding.js';
import type { TfjsShell } from '../engine.js';
import { adamW } from './adam-w.js';
import { attention } from './attention.js';
import { tfTypes } from './binding.js';
import type { TfBackend, TfData } from './tf-backend.js';
import { frozenLinear } from './frozen-linear.js';
import { createFusedContext, type FusedContext } from './fused-context.js';
import { attribute } from './operations.js';
import { rmsNorm, rope, swiglu } from './pointwise.js';
import { stacks } from './stacks.js';
import { tokenLosses } from './token-losses.js';
import { attentionProgram, attentionTakes } from './xla/attention.js';
import { frozenLinearProgram } from './xla/frozen-linear.js';
import { rmsNormProgram, ropeProgram, swigluProgram } from './xla/pointwise.js';

/** The named operations that are faster here than their compositions. */
export function createTfFused(backend: TfBackend, shell: TfjsShell<TfData>, engine: Engine): Partial<FusedOperations> {
  const { xla } = backend;
  const context = createFusedContext(backend, shell, engine);
  const operations = {
    frozenLinear: frozenLinear(context),
    tokenLosses: tokenLosses(context, xla),
    attention: attention(context),
    swiglu: swiglu(context),
    rmsNorm: rmsNorm(context),
    rope: rope(context),
  };
  const byRows = (rows: Tensor): boolean => xla?.takes(rows.shape[0]!) === true;
  const programs = xla && {
    frozenLinear: either(operations.frozenLinear, frozenLinearProgram(context, xla), ({ x }) => x, byRows),
    swiglu: either(operations.swiglu, swigluProgram(context, xla), ({ gate }) => gate, byRows),
    rmsNorm: either(operations.rmsNorm, rmsNormProgram(context, xla), ({ x }) => x, byRows),
    rope: either(operations.rope, ropeProgram(context, xla), ({ x }) => x, byRows),
    attention: either(
      operations.attention,
      attentionProgram(context, xla),
      ({ q }) => q,
      (_, { segments }) => attentionTakes(xla, segments),
    ),
  };
  return {
    embedding: embedding(shell),
    adamW: adamW(context, xla),
    sumOfSquares: sumOfSquares(context),
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
function sumOfSquares({ ops, of, make }: FusedContext): FusedOperations['sumOfSquares'] {
  return (tensors) =>
    make('sumOfSquares', [], 'float32', () => {
      if (tensors.length === 0) return ops.run('Fill', [ops.list([]), ops.scalar(0)]);
      const halves = stacks(tensors, (x) => x).map((stack) => ops.run('L2Loss', [ops.concatenate(stack.map(of), 0)]));
      const attributes = [attribute('N', 'int', halves.length), attribute('T', 'type', tfTypes.float32)];
      return ops.mul(ops.run('AddN', halves, ...attributes), ops.scalar(2));
    });
}
