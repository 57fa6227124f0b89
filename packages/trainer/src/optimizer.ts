import { detach, type Operations, type Tensor } from '@glulam/tensors';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** AdamW over named parameters: their moving averages, and the number of steps taken. */
export interface Optimizer {
  readonly steps: number;
  step(gradients: ReadonlyMap<string, Tensor>, learningRate: number, gradientScale: number): void;
  close(): void;
}

export function createOptimizer(
  ops: Operations,
  parameters: ReadonlyMap<string, Tensor>,
  settings: AdamWSettings,
): Optimizer {
  const zeros = (tensor: Tensor): Tensor => detach(ops.engine.full(tensor.shape, 0));
  const averages = new Map(
    [...parameters].map(([name, tensor]) => [name, { mean: zeros(tensor), variance: zeros(tensor) }]),
  );
  let steps = 0;
  return {
    get steps() {
      return steps;
    },
    step(gradients, learningRate, gradientScale) {
      steps += 1;
      const { beta1, beta2, epsilon, weightDecay } = settings;
      const updates = [...gradients].map(([name, gradient]) => ({
        parameter: parameters.get(name)!,
        gradient,
        ...averages.get(name)!,
        learningRate,
        weightDecay,
      }));
      ops.adamW(updates, { beta1, beta2, epsilon, step: steps, gradientScale });
    },
    close() {
      for (const { mean, variance } of averages.values()) {
        mean.release();
        variance.release();
      }
    },
  };
}
