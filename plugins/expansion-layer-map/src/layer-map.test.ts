import { testStrategy } from '@glulam/testing';
import { layerMapStrategy } from './index.js';

const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);

testStrategy(layerMapStrategy, {
  valid: [
    {
      physicalLayers: 32,
      options: JSON.parse('{"layer_map": [[0,16],[8,24],[16,32]]}'),
      physical: [...range(0, 16), ...range(8, 24), ...range(16, 32)],
    },
    {
      physicalLayers: 4,
      options: {
        layer_map: [
          [2, 4],
          [0, 1],
          [0, 1],
        ],
      },
      physical: [2, 3, 0, 0],
    },
  ],
  invalid: [
    {
      physicalLayers: 8,
      options: { layer_map: [[0, 9]] },
      message: /interval 0 \[0, 9\) leaves the base, which has 8 layers/,
    },
    {
      physicalLayers: 8,
      options: {
        layer_map: [
          [0, 4],
          [4, 4],
        ],
      },
      message: /interval 1 \[4, 4\) is empty/,
    },
    { physicalLayers: 8, options: { layer_map: [[-1, 4]] }, message: /leaves the base/ },
    {
      physicalLayers: 8,
      options: { layer_map: Array.from({ length: 100_000 }, () => [0, 8]) },
      message: /^the expansion has 800000 virtual layers; expected at most 4096$/,
    },
    {
      physicalLayers: 8,
      options: { layer_map: Array.from({ length: 100_000 }, () => [0, 9]) },
      message: /interval 7 \[0, 9\) leaves .*\n {2}and 99992 more$/,
    },
    { physicalLayers: 8, options: { layer_map: [] }, message: /layer_map/ },
    { physicalLayers: 8, options: { layer_map: [[0, 1.5]] }, message: /int/ },
    { physicalLayers: 8, options: { layermap: [[0, 1]] }, message: /layermap/ },
    {
      physicalLayers: 8,
      options: {
        layer_map: [
          [0, 8],
          [0, 8],
        ],
        residualScale: 0,
      },
      message: /residualScale 0 .* llama_pro/,
    },
  ],
});
