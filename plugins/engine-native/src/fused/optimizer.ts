import { checkTensor, type FusedOperations } from '@glulam/tensors';
import type { Device } from '../device.js';

export function adamW({ run }: Device): FusedOperations['adamW'] {
  return (updates, { beta1, beta2, epsilon, step, gradientScale }) => {
    for (const { parameter, gradient, mean, variance, learningRate, weightDecay } of updates) {
      const tensors = [parameter, gradient, mean, variance];
      for (const tensor of tensors) checkTensor('adamW', tensor, 'float32');
      run('adamW', tensors, [parameter.size, learningRate, weightDecay, beta1, beta2, epsilon, step, gradientScale]);
    }
  };
}

export function sumOfSquares({ make, run }: Device): FusedOperations['sumOfSquares'] {
  return (tensors) => {
    for (const tensor of tensors) checkTensor('sumOfSquares', tensor, 'float32');
    const sum = make([]);
    run('sumOfSquares', [sum, ...tensors], tensors.map(({ size }) => size));
    return sum;
  };
}
