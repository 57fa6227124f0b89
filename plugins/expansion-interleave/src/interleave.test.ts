import { llamaLinears } from '@glulam/model';
import { testStrategy } from '@glulam/testing';
import { expect, test } from 'vitest';
import { interleaveStrategy } from './index.js';

testStrategy(interleaveStrategy, {
  valid: [
    { physicalLayers: 4, options: { every: 2 }, physical: [0, 1, 1, 2, 3, 3] },
    { physicalLayers: 5, options: { every: 2, gate: 'learned' }, physical: [0, 1, 1, 2, 3, 3, 4] },
    { physicalLayers: 3, options: { every: 1, residualScale: 0.5 }, physical: [0, 0, 1, 1, 2, 2] },
    { physicalLayers: 3, options: { every: 3 }, physical: [0, 1, 2, 2] },
    { physicalLayers: 2, options: { every: 1, weights: 'own' }, physical: [0, 0, 1, 1] },
  ],
  invalid: [
    { physicalLayers: 4, options: { every: 5 }, message: /every 5th layer, but the base has 4/ },
    { physicalLayers: 4, options: { every: 0 }, message: /every/ },
    { physicalLayers: 4, options: { every: 2, gate: 'open' }, message: /gate/ },
    { physicalLayers: 4, options: { every: 2, weights: 'shared' }, message: /weights/ },
    { physicalLayers: 4, options: { every: 2, residualScale: 0 }, message: /residualScale 0 .* llama_pro/ },
    { physicalLayers: 4, options: { each: 2 }, message: /each/ },
  ],
});

test('as LLaMA-Pro: 32 layers, one more after every fourth, options on the repeats only', () => {
  const options = { every: 4, gate: 'learned', residualScale: 0.7, weights: 'own' } as const;
  const layers = interleaveStrategy.expand(32, options, llamaLinears);
  expect(layers).toHaveLength(40);
  layers.forEach((layer, index) => {
    const repeat = index % 5 === 4;
    expect(layer.gate).toBe(repeat ? 'learned' : undefined);
    expect(layer.residualScale).toBe(repeat ? 0.7 : undefined);
    expect(layer.weights).toBe(repeat ? 'own' : undefined);
  });
});
