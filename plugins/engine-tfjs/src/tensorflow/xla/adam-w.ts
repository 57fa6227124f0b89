import type { AdamWOptions } from '@glulam/tensors';
import type { TfTensor } from '../binding.js';
import type { TfOperations } from '../operations.js';
import type { Value } from './stablehlo.js';
import { whole, type Xla } from './xla.js';

/** Tensors of one shape. */
export interface AdamWState {
  readonly parameter: TfTensor;
  readonly gradient: TfTensor;
  readonly mean: TfTensor;
  readonly variance: TfTensor;
}

export interface AdamWSettings extends AdamWOptions {
  readonly learningRate: number;
  readonly weightDecay: number;
}

/**
 * New values of the mean, the variance and the parameter, in one pass. What differs from step to step is an input, so that
 * the program is compiled once.
 */
export function adamWProgram(
  xla: Xla,
  ops: TfOperations,
  { parameter, gradient, mean, variance }: AdamWState,
  { beta1, beta2, epsilon, step, gradientScale, learningRate, weightDecay }: AdamWSettings,
): readonly TfTensor[] {
  const ofStep = [
    gradientScale,
    1 / Math.sqrt(1 - beta2 ** step),
    -learningRate / (1 - beta1 ** step),
    1 - learningRate * weightDecay,
  ];
  const factors = ops.floats(Float32Array.from(ofStep), [ofStep.length]);
  const inputs = [parameter, gradient, mean, variance, factors].map(whole);
  return xla.run('adamW', [beta1, beta2, epsilon], parameter.shape[0]!, inputs, (p, values) => {
    const [parameter, gradient, mean, variance, factors] = values as [Value, Value, Value, Value, Value];
    const { shape } = parameter;
    const [scale, correction, rate, decay] = ofStep.map((_, i) =>
      p.spread(p.reshape(p.slice(factors, 0, i, i + 1), []), [], shape),
    ) as [Value, Value, Value, Value];
    const scaled = p.mul(gradient, scale);
    const newMean = p.add(p.mul(mean, beta1), p.mul(scaled, 1 - beta1));
    const newVariance = p.add(p.mul(variance, beta2), p.mul(p.mul(scaled, scaled), 1 - beta2));
    const root = p.add(p.mul(p.unary('sqrt', newVariance), correction), epsilon);
    const move = p.mul(p.binary('divide', newMean, root), rate);
    return [newMean, newVariance, p.add(p.mul(parameter, decay), move)].map(whole);
  });
}
