import { detach, type Operations, type Tensor } from '@glulam/tensors';

/** Of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101). */
export interface AdamWSettings {
  /** Decay of the mean of gradients, below 1. */
  readonly beta1: number;
  /** Decay of the mean of their squares, below 1. */
  readonly beta2: number;
  /** Added to the root of the latter. */
  readonly epsilon: number;
  /** Decoupled: times the learning rate, taken off the parameter itself. */
  readonly weightDecay: number;
  /** Factors on the learning rate, by name of parameter; default 1. */
  readonly learningRateFactors?: ReadonlyMap<string, number> | undefined;
}

/** AdamW over named parameters: their moving averages, and the number of steps taken. */
export interface Optimizer {
  /** Steps taken, those of earlier sessions included. */
  readonly steps: number;
  /** The averages of each parameter, of its shape; still the optimizer's. */
  readonly averages: ReadonlyMap<string, Averages<Tensor>>;
  /** Change the parameters by their gradients, each times `gradientScale`. */
  step(gradients: ReadonlyMap<string, Tensor>, learningRate: number, gradientScale: number): void;
  /** Release the averages. */
  close(): void;
}

/** The moving averages of one parameter, of its shape. */
export interface Averages<T> {
  /** Of gradients. */
  readonly mean: T;
  /** Of their squares. */
  readonly variance: T;
}

/** What an optimizer goes on from. */
export interface OptimizerState {
  /** Steps taken. */
  readonly steps: number;
  /** By name of parameter. */
  readonly averages: ReadonlyMap<string, Averages<Float32Array>>;
}

/** AdamW over named parameters, which it changes in place; with `state` it continues from a checkpoint. */
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
