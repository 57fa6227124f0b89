import { llamaLinears } from '@glulam/model';
import { testStrategy } from '@glulam/testing';
import { expect, test } from 'vitest';
import {
  depthUpStrategy,
  llamaProStrategy,
  repeatYourselfStrategy,
  slidingWindowsStrategy,
  wholeStackStrategy,
} from './index.js';

const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);

testStrategy(depthUpStrategy, {
  valid: [
    { physicalLayers: 32, options: { m: 8 }, physical: [...range(0, 24), ...range(8, 32)] },
    { physicalLayers: 3, options: { m: 0, gate: 'learned' }, physical: [0, 1, 2, 0, 1, 2] },
  ],
  invalid: [
    { physicalLayers: 8, options: { m: 8 }, message: /m is 8 of 8 layers/ },
    { physicalLayers: 8, options: { m: -1 }, message: /m/ },
  ],
});
testStrategy(repeatYourselfStrategy, {
  valid: [{ physicalLayers: 80, options: { i: 45, j: 52 }, physical: [...range(0, 52), ...range(45, 80)] }],
  invalid: [
    { physicalLayers: 8, options: { i: 3, j: 3 }, message: /i is 3 and j is 3; expected i < j/ },
    { physicalLayers: 8, options: { i: 3, j: 9 }, message: /j of at most 8/ },
  ],
});
testStrategy(wholeStackStrategy, {
  valid: [{ physicalLayers: 2, options: { times: 3, residualScale: 0.5 }, physical: [0, 1, 0, 1, 0, 1] }],
  invalid: [
    {
      physicalLayers: 4096,
      options: { times: 64 },
      message: /^the expansion has 262144 virtual layers; expected at most 4096$/,
    },
    { physicalLayers: 2, options: { times: 0 }, message: /times/ },
    {
      physicalLayers: 2,
      options: { times: 2, residualScale: 0 },
      message: /gate: \\"learned\\" or the kind llama_pro/,
    },
  ],
});
testStrategy(slidingWindowsStrategy, {
  valid: [
    {
      physicalLayers: 80,
      options: { window: 20, step: 10 },
      physical: range(0, 7).flatMap((k) => range(10 * k, 10 * k + 20)),
    },
    { physicalLayers: 4, options: { window: 4, step: 1 }, physical: [0, 1, 2, 3] },
  ],
  invalid: [
    { physicalLayers: 4096, options: { window: 2048, step: 1 }, message: /has 4196352 virtual layers/ },
    { physicalLayers: 8, options: { window: 9, step: 1 }, message: /window is 9, the base has 8/ },
    { physicalLayers: 8, options: { window: 2, step: 3 }, message: /layers would be left out/ },
    { physicalLayers: 8, options: { window: 4, step: 3 }, message: /the last window would not end with layer 7/ },
  ],
});

testStrategy(llamaProStrategy, {
  valid: [
    { physicalLayers: 4, options: { layers: 6 }, physical: [0, 1, 1, 2, 3, 3] },
    { physicalLayers: 3, options: { layers: 6 }, physical: [0, 0, 1, 1, 2, 2] },
    { physicalLayers: 3, options: { layers: 4 }, physical: [0, 1, 2, 2] },
  ],
  invalid: [
    {
      physicalLayers: 6,
      options: { layers: 10 },
      message: /layers is 10, and 6 layers take in .* if there are 7, 8, 9, 12/,
    },
    { physicalLayers: 4, options: { layers: 4 }, message: /layers is 4/ },
    { physicalLayers: 4, options: { layers: 6, gate: 'learned' }, message: /gate/ },
  ],
});

test('LLaMA-Pro’s 40 layers of 32: after every fourth a copy of it with weights of its own that begin at zero', () => {
  const layers = llamaProStrategy.expand(32, { layers: 40 }, llamaLinears);
  expect(layers).toHaveLength(40);
  layers.forEach((layer, index) => {
    const physical = Math.floor(index / 5) * 4 + Math.min(index % 5, 3);
    expect(layer).toEqual(index % 5 === 4 ? { physical, weights: 'own', start: 'zero' } : { physical });
  });
});

test('all contiguous choices of 32 layers that repeat-yourself has: 529 maps with the whole base', () => {
  // j - i + 32 layers for every 0 <= i < j <= 32; 528 of them, and the base itself.
  const maps = range(0, 32).flatMap((i) =>
    range(i + 1, 33).map((j) => repeatYourselfStrategy.expand(32, { i, j }, llamaLinears)),
  );
  expect(new Set(maps.map((layers) => JSON.stringify(layers))).size + 1).toBe(529);
});
