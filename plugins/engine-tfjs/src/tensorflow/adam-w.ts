import type { FusedOperations, Tensor } from '@glulam/tensors';
import type { TfTensor } from './binding.js';
import type { FusedContext } from './fused-context.js';
import type { TfOperations } from './operations.js';
import { stacks } from './stacks.js';
import { adamWProgram, type AdamWSettings, type AdamWState } from './xla/adam-w.js';
import type { Xla } from './xla/xla.js';

/** The composition's arithmetic on many tensors at once: a model has hundreds of small ones, and a call costs its time. */
export function adamW({ ops, of, renew }: FusedContext, xla: Xla | undefined): FusedOperations['adamW'] {
  return (updates, { beta1, beta2, epsilon, step, gradientScale }) => {
    for (const group of stacks(
      updates,
      ({ parameter }) => parameter,
      ({ learningRate, weightDecay }) => `${learningRate} ${weightDecay}`,
    )) {
      const { learningRate, weightDecay, parameter } = group[0]!;
      const joined = (member: 'parameter' | 'gradient' | 'mean' | 'variance'): TfTensor =>
        ops.concatenate(
          group.map((update) => of(update[member])),
          0,
        );
      const lengths = group.map(({ parameter }) => parameter.shape[0]!);
      const parts = (all: TfTensor): readonly TfTensor[] => (group.length === 1 ? [all] : ops.split(all, lengths));
      const targets: Tensor[] = (['mean', 'variance', 'parameter'] as const).flatMap((member) =>
        group.map((update) => update[member]),
      );
      const options = { beta1, beta2, epsilon, step, gradientScale, learningRate, weightDecay };
      renew('adamW', targets, () => {
        const state = {
          parameter: joined('parameter'),
          gradient: joined('gradient'),
          mean: joined('mean'),
          variance: joined('variance'),
        };
        const takes = parameter.shape.length === 2 && xla?.takes(state.parameter.shape[0]!) === true;
        return (takes ? adamWProgram(xla, ops, state, options) : byOperations(ops, state, options)).flatMap(parts);
      });
    }
  };
}

/** New values of the mean, the variance and the parameter. */
function byOperations(ops: TfOperations, state: AdamWState, options: AdamWSettings): readonly TfTensor[] {
  const { mul, add, scalar, run } = ops;
  const { beta1, beta2, epsilon, step, gradientScale, learningRate, weightDecay } = options;
  const gradient = mul(state.gradient, scalar(gradientScale));
  const mean = add(mul(state.mean, scalar(beta1)), mul(gradient, scalar(1 - beta1)));
  const squares = mul(run('Square', [gradient]), scalar(1 - beta2));
  const variance = add(mul(state.variance, scalar(beta2)), squares);
  const root = add(mul(run('Sqrt', [variance]), scalar(1 / Math.sqrt(1 - beta2 ** step))), scalar(epsilon));
  const move = mul(run('RealDiv', [mean, root]), scalar(-learningRate / (1 - beta1 ** step)));
  return [mean, variance, add(mul(state.parameter, scalar(1 - learningRate * weightDecay)), move)];
}
