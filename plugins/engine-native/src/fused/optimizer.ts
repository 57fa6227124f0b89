import { checkTensor, type FusedOperations } from '@glulam/tensors';
import type { FusedCommands } from './commands.js';

export function adamW({ run }: FusedCommands): FusedOperations['adamW'] {
  return (updates, { beta1, beta2, epsilon, step, gradientScale }) => {
    const tensors = updates.flatMap(({ parameter, gradient, mean, variance }) => [parameter, gradient, mean, variance]);
    for (const tensor of tensors) checkTensor('adamW', tensor, 'float32');
    run('adamW', {
      tensors,
      beta1,
      beta2,
      epsilon,
      step,
      gradientScale,
      elements: updates.map(({ parameter }) => parameter.size),
      learningRates: updates.map(({ learningRate }) => learningRate),
      weightDecays: updates.map(({ weightDecay }) => weightDecay),
    });
  };
}

export function sumOfSquares({ make, run }: FusedCommands): FusedOperations['sumOfSquares'] {
  return (tensors) => {
    for (const tensor of tensors) checkTensor('sumOfSquares', tensor, 'float32');
    const sum = make([]);
    run('sumOfSquares', { sum, tensors, elements: tensors.map(({ size }) => size) });
    return sum;
  };
}
