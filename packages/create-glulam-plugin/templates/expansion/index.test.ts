import { testStrategy } from '@glulam/testing';
import { myKindStrategy } from './index.js';

testStrategy(myKindStrategy, {
  valid: [
    { physicalLayers: 4, options: { start: 1, end: 3 }, physical: [0, 1, 2, 1, 2, 3] },
    { physicalLayers: 3, options: { start: 0, end: 1, times: 3, gate: 'learned' }, physical: [0, 0, 0, 1, 2] },
    { physicalLayers: 2, options: { start: 0, end: 2, residualScale: 0.7 }, physical: [0, 1, 0, 1] },
  ],
  invalid: [
    { physicalLayers: 4, options: { start: 2, end: 5 }, message: /from 2 to 5, and the base 4 layers/ },
    { physicalLayers: 4, options: { start: 2, end: 2 }, message: /expected start < end/ },
    { physicalLayers: 4, options: { start: 0, end: 2, times: 1 }, message: /times/ },
    { physicalLayers: 4, options: { begin: 0, end: 2 }, message: /begin/ },
  ],
});
