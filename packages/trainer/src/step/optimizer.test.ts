import { createOperations, createReferenceEngine } from '@glulam/tensors';
import { expect, test } from 'vitest';
import { createOptimizer } from './optimizer.js';

test('a factor on the learning rate moves its parameter so many times as far, and no other', async () => {
  const engine = createReferenceEngine();
  const tensor = (value: number) => engine.full([3], value);
  const parameters = new Map([
    ['A', tensor(1)],
    ['B', tensor(1)],
  ]);
  const gradients = new Map([
    ['A', tensor(0.5)],
    ['B', tensor(0.5)],
  ]);
  const optimizer = createOptimizer(createOperations(engine), parameters, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    learningRateFactors: new Map([['B', 16]]),
  });
  optimizer.step(gradients, 1e-3, 1);
  // Adam's first step is the learning rate, whatever the gradient.
  for (const [name, moved] of [
    ['A', 1e-3],
    ['B', 16e-3],
  ] as const) {
    const values = await engine.read(parameters.get(name)!);
    for (const value of values) expect(1 - value).toBeCloseTo(moved, 6);
  }
});
