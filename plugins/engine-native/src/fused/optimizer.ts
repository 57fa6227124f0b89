import { checkTensor, type FusedOperations } from '@glulam/tensors';
import type { Device } from '../device.js';

export function adamW({ run }: Device): FusedOperations['adamW'] {
  return (updates, { beta1, beta2, epsilon, step, gradientScale }) => {
    const tensors = updates.flatMap(({ parameter, gradient, mean, variance }) => [parameter, gradient, mean, variance]);
    for (const tensor of tensors) checkTensor('adamW', tensor, 'float32');
    run('adamW', tensors, [
      ...[beta1, beta2, epsilon, step, gradientScale],
      ...updates.flatMap(({ parameter, learningRate, weightDecay }) => [parameter.size, learningRate, weightDecay]),
    ]);
  };
}

export function sumOfSquares({ make, run }: Device): FusedOperations['sumOfSquares'] {
  return (tensors) => {
    for (const tensor of tensors) checkTensor('sumOfSquares', tensor, 'float32');
    const sum = make([]);
    run(
      'sumOfSquares',
      [sum, ...tensors],
      tensors.map(({ size }) => size),
    );
    return sum;
  };
}
