import { detach, type Operations, type Tensor } from '@glulam/tensors';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Factors on the learning rate, by name of parameter; default 1. */
  readonly learningRateFactors?: ReadonlyMap<string, number> | undefined;
}

/** AdamW over named parameters: their moving averages, and the number of steps taken. */
export interface Optimizer {
  readonly steps: number;
  /** The averages of each parameter, of its shape; still the optimizer's. */
  readonly averages: ReadonlyMap<string, Averages<Tensor>>;
  step(gradients: ReadonlyMap<string, Tensor>, learningRate: number, gradientScale: number): void;
  close(): void;
}

export interface Averages<T> {
  readonly mean: T;
  readonly variance: T;
}

/** What an optimizer goes on from. */
export interface OptimizerState {
  readonly steps: number;
  readonly averages: ReadonlyMap<string, Averages<Float32Array>>;
}

export function createOptimizer(
  ops: Operations,
  parameters: ReadonlyMap<string, Tensor>,
  settings: AdamWSettings,
  state?: OptimizerState,
): Optimizer {
  const { engine } = ops;
  const start = (tensor: Tensor, values: Float32Array | undefined): Tensor =>
    detach(values === undefined ? engine.full(tensor.shape, 0) : engine.upload(values, tensor.shape));
  const averages = new Map(
    [...parameters].map(([name, tensor]): [string, Averages<Tensor>] => {
      const saved = state?.averages.get(name);
      return [name, { mean: start(tensor, saved?.mean), variance: start(tensor, saved?.variance) }];
    }),
  );
  let steps = state?.steps ?? 0;
  return {
    get steps() {
      return steps;
    },
    averages,
    step(gradients, learningRate, gradientScale) {
      steps += 1;
      const { beta1, beta2, epsilon, weightDecay, learningRateFactors } = settings;
      const updates = [...gradients].map(([name, gradient]) => ({
        parameter: parameters.get(name)!,
        gradient,
        ...averages.get(name)!,
        learningRate: learningRate * (learningRateFactors?.get(name) ?? 1),
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
